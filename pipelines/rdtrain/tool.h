/* What the commands of rdtrain share: signals, exit codes, what is told, test windows. */
#pragma once
#include "codec/training/corpus.h"
#include "codec/training/product.h"
#include "models/gguf/types.h"
#include "pipelines/eval/testset.h"

G_BEGIN_DECLS

#define RDTRAIN_EXIT_USAGE 2
#define RDTRAIN_EXIT_INTERRUPTED 130

/** Commands: like main(), argv[0] being the program's; return an exit code. */
int rdtrain_calibrate (gint argc, gchar ** argv);
int rdtrain_train (gint argc, gchar ** argv);
int rdtrain_resume (gint argc, gchar ** argv);
int rdtrain_export (gint argc, gchar ** argv);
int rdtrain_evaluate (gint argc, gchar ** argv);
int rdtrain_from_scratch (gint argc, gchar ** argv);
int rdtrain_windows (gint argc, gchar ** argv);

/** RdtrainTeller: standard error. A terminal has a line that changes. */
typedef struct
{
  gboolean quiet, terminal;
  gint64 told;
} RdtrainTeller;

/** rdtrain_teller_init: once options are parsed, in which numbers may be written as the locale does it: from here on they are the same in all. */
void rdtrain_teller_init (RdtrainTeller * teller, gboolean quiet);
/** rdtrain_teller_due: whether progress is to be told now: as eval_progress_due(), if at all. */
gboolean rdtrain_teller_due (RdtrainTeller * teller);
/** rdtrain_teller_progress: replaces the line that changes. */
void rdtrain_teller_progress (const RdtrainTeller * teller, const gchar * line);
/** rdtrain_tell: a line that stays. @user_data: RdtrainTeller. */
void rdtrain_tell (const gchar * line, gpointer user_data);
/** rdtrain_fail: prints @error under the program's name; returns the exit code of a run that was interrupted, or of one that failed. */
int rdtrain_fail (const RdtrainTeller * teller, const GError * error, gboolean interrupted);

/** rdtrain_context: for a command with @entries (copied by it); @description may be NULL. */
GOptionContext *rdtrain_context (const GOptionEntry * entries, const gchar * summary, const gchar * description);
/** Rows of tables of options that several commands have, each with the address of its value. */
#define RDTRAIN_ENTRY_TEXTS(texts) {"text", 't', 0, G_OPTION_ARG_FILENAME_ARRAY, texts, "Text file, or folder of such", "TEXT"}
#define RDTRAIN_ENTRY_WINDOWS(path) {"exclude-windows", 0, 0, G_OPTION_ARG_FILENAME, path, \
    "Test windows; text with 24 consecutive tokens of them is refused", "JSON"}
#define RDTRAIN_ENTRY_SEED(seed) {"seed", 0, 0, G_OPTION_ARG_INT64, seed, "What is random depends on it alone (0)", "N"}
#define RDTRAIN_ENTRY_THREADS(threads) {"threads", 0, 0, G_OPTION_ARG_INT, threads, "0: one per CPU (0)", "N"}
#define RDTRAIN_ENTRY_RESUME(resume) {"resume", 'r', 0, G_OPTION_ARG_NONE, resume, "Go on from the checkpoint, if there is one", NULL}
#define RDTRAIN_ENTRY_QUIET(quiet) {"quiet", 'q', 0, G_OPTION_ARG_NONE, quiet, "Print errors only", NULL}

/** rdtrain_fail_arguments: prints what is wrong with the command line; returns the exit code. */
int rdtrain_fail_arguments (const GError * error);

/** rdtrain_fail_usage: sets G_OPTION_ERROR_BAD_VALUE; returns FALSE. */
gboolean rdtrain_fail_usage (GError ** error, const gchar * message);

#define RDTRAIN_PRODUCTS_HELP "Of activations with the model's matrices: f32, or bf16, which is much faster on CPUs with AMX (f32)"
/** rdtrain_parse_products: what --products says; NULL is f32. */
gboolean rdtrain_parse_products (const gchar * name, RdProducts * products, GError ** error);

/** rdtrain_parse_type: the type of a model's matrices; F16 if @name is NULL. Error: of usage. */
gboolean rdtrain_parse_type (const gchar * name, StType * type, GError ** error);

/** RdtrainWindows: zeroed at first. Test windows that no text may have in common with a corpus. */
typedef struct
{
  EvalTestset *testset;
  RdIds *windows;               /* (n) into @testset */
  gsize n;
} RdtrainWindows;

/** rdtrain_windows_load: from a file of windows; none if @path is NULL. */
gboolean rdtrain_windows_load (RdtrainWindows * windows, const gchar * path, GError ** error);
void rdtrain_windows_clear (RdtrainWindows * windows);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RdtrainWindows, rdtrain_windows_clear)

G_END_DECLS
