#!/usr/bin/python3
"""The tail half inside a Python application: states in, text on standard output.

The head runs elsewhere, for example pipelines/udp-head or examples/embed-head.
Needs python3-gst-1.0. Shows parse_launch, the bus, and element messages.
"""
import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

STRING = (
    "udpsrc name=udp buffer-size=4000000 reuse=false ! queue ! rdparse ! rddecoder name=decoder"
    " ! transformertail name=tail ! appsink name=text emit-signals=true sync=false async=false"
    "  decoder.feedback ! udpsink name=back sync=false async=false"
)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="GGUF file with at least the blocks behind the cut")
    parser.add_argument("--port", type=int, default=5000, help="udp port that receives hidden states")
    parser.add_argument("--reply-host", default="127.0.0.1", help="the head's address")
    parser.add_argument("--reply-port", type=int, default=5001, help="the head's udp port for the way back")
    parser.add_argument("--sessions", type=int, default=1, help="leave after so many sessions (-1: never)")
    return parser.parse_args()


def on_text(sink):
    sample = sink.emit("pull-sample")
    buffer = sample.get_buffer()
    sys.stdout.buffer.write(buffer.extract_dup(0, buffer.get_size()))
    sys.stdout.flush()
    return Gst.FlowReturn.OK


def on_message(_bus, message, loop, result):
    if message.type == Gst.MessageType.ERROR:
        error, _debug = message.parse_error()
        print(f"{message.src.get_name()}: {error.message}", file=sys.stderr)
        result["status"] = 1
        loop.quit()
    elif message.type == Gst.MessageType.WARNING:
        error, _debug = message.parse_warning()
        print(f"{message.src.get_name()}: {error.message}", file=sys.stderr)
    elif message.type == Gst.MessageType.ELEMENT:
        print(f"\n{message.get_structure().to_string()}", file=sys.stderr)
    elif message.type == Gst.MessageType.EOS:
        loop.quit()


def main():
    arguments = parse_arguments()
    Gst.init(None)
    pipeline = Gst.parse_launch(STRING)
    pipeline.get_by_name("udp").set_property("port", arguments.port)
    pipeline.get_by_name("decoder").set_property("num-sessions", arguments.sessions)
    pipeline.get_by_name("tail").set_property("model", arguments.model)
    back = pipeline.get_by_name("back")
    back.set_property("host", arguments.reply_host)
    back.set_property("port", arguments.reply_port)
    pipeline.get_by_name("text").connect("new-sample", on_text)

    loop = GLib.MainLoop()
    result = {"status": 0}
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message, loop, result)
    pipeline.set_state(Gst.State.PLAYING)
    try:
        loop.run()
    except KeyboardInterrupt:
        pass
    pipeline.set_state(Gst.State.NULL)
    print()
    return result["status"]


if __name__ == "__main__":
    sys.exit(main())
