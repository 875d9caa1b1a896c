/* What the tests of the elements share: a tiny model, pipelines run to their end, buffers of ids. */
#pragma once
#include <gst/check/gstcheck.h>
#include <gst/check/gstharness.h>
#include "elements/common/gstrdevents.h"
#include "elements/common/gstrdmeta.h"
#include "tests/support/model-tools.h"
#include "tests/support/tiny-model.h"

G_BEGIN_DECLS

/** gst_check_init() and the registration of tokensrc, transformerhead and transformertail. */
void st_elements_init (int *argc, char **argv[]);
/** Runs @suite and removes the models. Returns main's status. */
int st_elements_run (Suite * suite, const gchar * name);

/** Path of the tiny model; it only writes text. Made once. */
const gchar *st_tiny_path (void);
/** One that may end its text. */
const gchar *st_tiny_ending_path (void);
/** One with other weights. */
const gchar *st_tiny_other_path (void);
/** One of the GPT-2 family. */
const gchar *st_tiny_gpt2_path (void);
/** The tokenizer of the tiny model, owned. */
StTokenizer *st_tiny_tokenizer (void);

/** A new element whose properties @setup ("name=value,...") sets. */
GstElement *st_element (const gchar * factory, const gchar * setup);
/** Harness of the pads sink and src of a new element; @element points to it, not owned. */
GstHarness *st_harness (const gchar * factory, const gchar * setup, GstElement ** element);

/** Caps of the tiny model's token ids. */
GstCaps *st_tiny_ids_caps (void);
/** @n ids; with the meta if @meta. */
GstBuffer *st_ids_buffer (const gint32 * ids, guint n, gboolean meta, guint32 session, guint32 epoch, guint32 position,
    GstRdMetaFlags flags);

/** StRun: a pipeline from PLAYING to EOS or an error. */
typedef struct
{
  GString *text;                 /* of the fakesink named out */
  GString *tokens;               /* bytes of the fakesink named ids, if there is one */
  gchar *error;                  /* message of the first error, or NULL */
  gchar *debug;
  GPtrArray *messages;           /* GstStructure of every element message */
  GPtrArray *warnings;           /* gchar */
} StRun;

/** st_run: @line is a printf format; runs at most 60 s, or fails the test. Clear it. */
void st_run (StRun * run, const gchar * line, ...) G_GNUC_PRINTF (2, 3);
void st_run_clear (StRun * run);
/** The last element message of that name, or NULL. */
const GstStructure *st_run_message (const StRun * run, const gchar * name);

/** Text that the tiny model (or the one at @path) writes greedily after @prompt: @n tokens. Free it. */
gchar *st_expected_text (const gchar * path, const gint32 * prompt, guint n_prompt, guint n);
/** The same from a chain that is open and empty. */
gchar *st_chain_text (StTestChain * chain, const gint32 * prompt, guint n_prompt, guint n);
/** Ids of text, special tokens by name allowed. */
GArray *st_encode (const gchar * text);

/** Pulls events from the harness until the custom one named @name comes; NULL if there is none. */
GstEvent *st_pull_custom (GstHarness * h, const gchar * name, gboolean upstream);

G_END_DECLS
