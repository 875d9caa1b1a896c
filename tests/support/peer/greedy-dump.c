/* Greedy continuations by llama.cpp, as JSON. Compiled and run by greedy-llama-cpp against a llama.cpp build; no part of the project
 * links to it. usage: greedy-dump MODEL N_TOKENS CACHE_TYPE PROMPT_FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llama.h>

static char *
read_file (const char *path, size_t *len)
{
  FILE *file = fopen (path, "rb");
  char *text;

  if (file == NULL) {
    perror (path);
    exit (1);
  }
  fseek (file, 0, SEEK_END);
  *len = (size_t) ftell (file);
  rewind (file);
  text = malloc (*len + 1);
  if (fread (text, 1, *len, file) != *len) {
    perror (path);
    exit (1);
  }
  fclose (file);
  return text;
}

static int
top_two (const float *logits, int n, float *gap)
{
  int best = logits[1] > logits[0];
  float second = logits[1 - best];

  for (int i = 2; i < n; i++) {
    if (logits[i] > logits[best]) {
      second = logits[best];
      best = i;
    } else if (logits[i] > second) {
      second = logits[i];
    }
  }
  *gap = logits[best] - second;
  return best;
}

static void
print_ids (const char *key, const int *ids, int n)
{
  printf ("   \"%s\": [", key);
  for (int i = 0; i < n; i++)
    printf ("%s%d", i > 0 ? ", " : "", ids[i]);
  printf ("],\n");
}

static void
continue_prompt (struct llama_model *model, struct llama_context_params params,
    const char *path, int n_new)
{
  const struct llama_vocab *vocab = llama_model_get_vocab (model);
  struct llama_context *context = llama_init_from_model (model, params);
  size_t len;
  char *text = read_file (path, &len);
  llama_token *ids = malloc ((len + 1) * sizeof (*ids));
  int n =
      llama_tokenize (vocab, text, (int) len, ids, (int) len + 1, false, true);
  int *answer = malloc ((size_t) n_new * sizeof (*answer));
  float *gaps = malloc ((size_t) n_new * sizeof (*gaps));
  struct llama_batch batch = llama_batch_get_one (ids, n);
  const char *name = strrchr (path, '/');

  if (context == NULL || n <= 0) {
    fprintf (stderr, "%s: no context or no tokens\n", path);
    exit (1);
  }
  printf ("  {\"prompt\": \"%s\",\n", name != NULL ? name + 1 : path);
  print_ids ("prompt_ids", ids, n);
  for (int i = 0; i < n_new; i++) {
    if (llama_decode (context, batch) != 0) {
      fprintf (stderr, "%s: decode failed at token %d\n", path, i);
      exit (1);
    }
    answer[i] =
        top_two (llama_get_logits_ith (context, -1),
        llama_vocab_n_tokens (vocab), &gaps[i]);
    ids[0] = answer[i];
    batch = llama_batch_get_one (ids, 1);
  }
  print_ids ("ids", answer, n_new);
  printf ("   \"top2_gaps\": [");
  for (int i = 0; i < n_new; i++)
    printf ("%s%.5g", i > 0 ? ", " : "", gaps[i]);
  printf ("]}");
  free (gaps);
  free (answer);
  free (ids);
  free (text);
  llama_free (context);
}

static void
log_errors (enum ggml_log_level level, const char *text, void *data)
{
  (void) data;
  if (level == GGML_LOG_LEVEL_ERROR)
    fputs (text, stderr);
}

int
main (int argc, char **argv)
{
  struct llama_model_params model_params = llama_model_default_params ();
  struct llama_context_params params = llama_context_default_params ();
  struct llama_model *model;

  if (argc < 5) {
    fprintf (stderr, "usage: %s MODEL N_TOKENS f32|f16 PROMPT_FILE...\n",
        argv[0]);
    return 2;
  }
  llama_log_set (log_errors, NULL);
  llama_backend_init ();
  model = llama_model_load_from_file (argv[1], model_params);
  if (model == NULL)
    return 1;
  params.n_ctx = 1024;
  params.n_batch = 1024;
  params.n_threads = params.n_threads_batch = 1;
  params.type_k = params.type_v =
      strcmp (argv[3], "f32") == 0 ? GGML_TYPE_F32 : GGML_TYPE_F16;
  printf ("{\"cache_type\": \"%s\", \"llama_cpp\": \"%s\",\n \"prompts\": [\n",
      argv[3], llama_version ());
  for (int i = 4; i < argc; i++) {
    continue_prompt (model, params, argv[i], atoi (argv[2]));
    printf ("%s\n", i + 1 < argc ? "," : "");
  }
  printf ("]}\n");
  llama_model_free (model);
  return 0;
}
