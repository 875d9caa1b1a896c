#!/usr/bin/python3
"""Turns through tokensrc.text: a line is a turn, whatever the reads; over udp and inside one process."""
import subprocess
import time

import harness
from harness import Pipeline, Udp, check, tiny_model

TOKENS = 12


def chat_source(more=""):
    """max-tokens of each answer; lines from standard input."""
    return f"tokensrc name=s model={tiny_model()} temperature=0 max-tokens={TOKENS} {more}"


def one_process(pieces, more="", pause=0.05, seconds=30):
    """What a chat in one process writes when standard input comes in these pieces."""
    pipeline = Pipeline(f"fdsrc fd=0 ! s.text  {chat_source(more)} ! transformertail model={tiny_model()} layers=all ! TEXT", "chat",
                        stdin=subprocess.PIPE)
    speak(pipeline, pieces, pause)
    return pipeline.expect(0, seconds).text


def speak(pipeline, pieces, pause=0.05):
    for piece in pieces:
        pipeline.stdin.write(piece)
        pipeline.stdin.flush()
        time.sleep(pause)
    pipeline.stdin.close()


def over_udp(pieces, more="", pause=0.05, before_tail="testslow ns-per-row=1000000"):
    udp = Udp(tiny_model())
    tail = udp.tail(before_tail=before_tail)
    head = Pipeline("fdsrc fd=0 ! s.text  " + udp.head_string(chat_source(more)), "head", stdin=subprocess.PIPE)
    speak(head, pieces, pause)
    head.expect(0)
    return tail.expect(0).text


def answers(text):
    return text.rstrip(b"\n").split(b"\n")


def test_two_lines_two_answers():
    """printf 'Hi\\nAnd again\\n': the second answer has seen the first, so it is not what the second line alone gets."""
    text = one_process([b"Hi\nAnd again\n"])
    check(text == over_udp([b"Hi\nAnd again\n"]), "another text over udp")
    check(text.startswith(one_process([b"Hi\n"]).rstrip(b"\n")), "the first answer depends on the second line")
    check(not text.rstrip(b"\n").endswith(one_process([b"And again\n"]).rstrip(b"\n")), "the second answer has not seen the first turn")


def test_stops_of_reading_do_not_matter():
    """Several turns in a read, a turn in several reads, half a UTF-8 character in each."""
    whole = "Füße und Öl\nдва слова\n三つ\n".encode()
    text = one_process([whole])
    check(text == one_process([bytes([byte]) for byte in whole], pause=0.002), "byte by byte: another text")
    cut = whole.index("ß".encode()) + 1
    check(text == one_process([whole[:cut], whole[cut:]], pause=0.3), "cut inside a character: another text")
    check(text == over_udp([whole[:cut], whole[cut:]], pause=0.3), "over udp, cut inside a character: another text")


def test_last_line_without_newline():
    check(one_process([b"Hi\nAnd again"]) == one_process([b"Hi\nAnd again\n"]), "an unfinished last line is another turn")


def test_a_turn_during_an_answer_waits():
    fast = one_process([b"Hi\nAnd again\nMore\n"])
    check(fast == over_udp([b"Hi\n", b"And again\n", b"More\n"], pause=0.02, before_tail="testslow ns-per-row=20000000"),
          "lines that came during an answer changed the text")


def test_no_turns():
    """End of input before any line: nothing to answer, a good end of the head; to the tail nobody has come."""
    check(one_process([]) == b"", "text without a turn")
    udp = Udp(tiny_model())
    tail = udp.tail()
    head = Pipeline("fdsrc fd=0 ! s.text  " + udp.head_string(chat_source()), "head", stdin=subprocess.PIPE)
    speak(head, [])
    head.expect(0, 10)
    check(tail.text == b"", "text without a turn")


def test_prompt_then_lines():
    """`prompt` is the first turn."""
    text = one_process([b"And again\n"], 'prompt="Hi"')
    check(text == one_process([b"Hi\nAnd again\n"]), f"another text: {text!r}")


def test_text_that_is_not_utf8():
    """Bytes that are no text are one readable error, or survived; never a crash."""
    pipeline = Pipeline(f"fdsrc fd=0 ! s.text  {chat_source()} ! transformertail model={tiny_model()} layers=all ! TEXT", "chat",
                        stdin=subprocess.PIPE)
    speak(pipeline, [b"\xff\xfe\x80 bad\n", b"Good\n"])
    status = pipeline.wait(20)
    check(status == 0 or (status == 1 and "UTF-8" in pipeline.errors()), f"status {status}\n{pipeline.report()}")


def test_many_turns_and_loss():
    lines = "".join(f"Line {number}\n" for number in range(8)).encode()
    udp = Udp(tiny_model())
    identity = harness.lossy(0.1)
    tail = udp.tail(before_sink=identity)
    head = Pipeline("fdsrc fd=0 ! s.text  " + udp.head_string(chat_source(), before_sink=identity), "head", stdin=subprocess.PIPE)
    speak(head, [lines])
    head.expect(0)
    text = tail.expect(0).text
    check(text == one_process([lines]), f"another text: {text!r}")


def test_tail_restarted_between_turns():
    """The cache of both turns is rebuilt; the new tail prints both answers again or goes on, the last answer is right."""
    udp = Udp(tiny_model())
    first = udp.tail()
    head = Pipeline("fdsrc fd=0 ! s.text  " + udp.head_string(chat_source()), "head", stdin=subprocess.PIPE)
    head.stdin.write(b"Hi\n")
    head.stdin.flush()
    first.wait_text(TOKENS)
    time.sleep(0.3)
    first.kill()
    second = udp.tail()
    head.stdin.write(b"And again\n")
    head.stdin.close()
    head.expect(0)
    second.expect(0)
    whole = one_process([b"Hi\nAnd again\n"])
    check(second.text and whole.endswith(second.text), f"the second tail wrote {second.text!r}, both answers are {whole!r}")


if __name__ == "__main__":
    harness.main([t for name, t in list(globals().items()) if name.startswith("test_")], harness.options())
