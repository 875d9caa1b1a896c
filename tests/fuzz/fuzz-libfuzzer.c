/* Runs a fuzz test under libFuzzer, in place of fuzz-main.c:
 *   CC=clang meson setup build-fuzz -Db_sanitize=address,undefined -Db_lundef=false && ninja -C build-fuzz
 *   clang -g -fsanitize=fuzzer,address,undefined -D_GNU_SOURCE -I. $(pkg-config --cflags glib-2.0) tests/fuzz/fuzz-gguf.c \
 *     tests/fuzz/fuzz-libfuzzer.c build-fuzz/tests/support/libgguf-bytes.a build-fuzz/models/libmodels.a \
 *     $(pkg-config --libs glib-2.0) -lm -o fuzz-gguf && ./fuzz-gguf
 */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput (const guint8 * data, gsize size);

int
LLVMFuzzerTestOneInput (const guint8 * data, gsize size)
{
  fuzz_one (data, size);
  return 0;
}
