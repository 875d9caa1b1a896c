#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUT_BYTES (1u << 20)
#define MAX_MUTATIONS 6

static guint64
env_number (const gchar * name, guint64 fallback)
{
  const gchar *value = g_getenv (name);

  return value ? g_ascii_strtoull (value, NULL, 10) : fallback;
}

static void
overwrite_number (GByteArray * input, GRand * rand)
{
  static const guint64 numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff,
    0x7fffffff, 0x80000000, 0xffffffff, G_MAXINT64, G_MAXUINT64
  };
  guint64 number = numbers[g_rand_int_range (rand, 0, G_N_ELEMENTS (numbers))];
  guint width = 1u << g_rand_int_range (rand, 0, 4);

  if (input->len < width)
    return;
  number = GUINT64_TO_LE (number);
  memcpy (input->data + g_rand_int_range (rand, 0, input->len - width + 1),
      &number, width);
}

static void
remove_or_repeat (GByteArray * input, GRand * rand)
{
  guint begin = g_rand_int_range (rand, 0, input->len);
  guint length = g_rand_int_range (rand, 0, MIN (input->len - begin, 64) + 1);

  if (g_rand_boolean (rand)) {
    g_byte_array_remove_range (input, begin, length);
  } else if (length > 0 && input->len < MAX_INPUT_BYTES) {
    g_autofree guint8 *copy = g_memdup2 (input->data + begin, length);
    g_byte_array_append (input, copy, length);
  }
}

static void
mutate (GByteArray * input, GRand * rand)
{
  if (input->len == 0) {
    guint8 byte = g_rand_int (rand) & 0xff;
    g_byte_array_append (input, &byte, 1);
    return;
  }
  guint at = g_rand_int_range (rand, 0, input->len);
  switch (g_rand_int_range (rand, 0, 5)) {
    case 0:
      input->data[at] ^= 1u << g_rand_int_range (rand, 0, 8);
      break;
    case 1:
      input->data[at] = g_rand_int (rand) & 0xff;
      break;
    case 2:
      overwrite_number (input, rand);
      break;
    case 3:
      remove_or_repeat (input, rand);
      break;
    default:
      g_byte_array_set_size (input, at);
      break;
  }
}

/* An own block of exact size, so that a sanitizer sees a read beyond. */
static void
run_one (const guint8 * data, gsize size)
{
  g_autofree guint8 *exact = malloc (size);

  if (size)
    memcpy (exact, data, size);
  if (g_getenv ("FUZZ_LAST"))
    g_file_set_contents (g_getenv ("FUZZ_LAST"), (const gchar *) data, size,
        NULL);
  fuzz_one (exact, size);
}

static int
run_file (const gchar * path)
{
  g_autofree gchar *data = NULL;
  g_autoptr (GError) error = NULL;
  gsize size;

  if (!g_file_get_contents (path, &data, &size, &error)) {
    g_printerr ("%s\n", error->message);
    return 1;
  }
  run_one ((const guint8 *) data, size);
  return 0;
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) seeds =
      g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  g_autoptr (GRand) rand = g_rand_new_with_seed (env_number ("FUZZ_SEED", 1));
  gint64 end = g_get_monotonic_time ()
      + (gint64) env_number ("FUZZ_SECONDS", 5) * G_USEC_PER_SEC;
  guint64 runs = 0;
  GBytes *seed;

  if (argc > 1)
    return run_file (argv[1]);
  for (guint i = 0; (seed = fuzz_seed (i)); i++) {
    gsize size;
    const guint8 *data = g_bytes_get_data (seed, &size);
    g_ptr_array_add (seeds, seed);
    run_one (data, size);
  }
  g_assert_cmpuint (seeds->len, >, 0);
  for (; g_get_monotonic_time () < end; runs++) {
    seed = seeds->pdata[g_rand_int_range (rand, 0, seeds->len)];
    g_autoptr (GByteArray) input = g_byte_array_new ();
    gint mutations = g_rand_int_range (rand, 1, MAX_MUTATIONS + 1);

    g_byte_array_append (input, g_bytes_get_data (seed, NULL),
        g_bytes_get_size (seed));
    for (gint i = 0; i < mutations; i++)
      mutate (input, rand);
    run_one (input->data, input->len);
  }
  g_print ("%" G_GUINT64_FORMAT " damaged inputs from %u seeds survived\n",
      runs, seeds->len);
  return 0;
}
