#include "tests/unit/session-link.h"

#include <string.h>

#define ROW_BYTES 100

void
link_header (RdHeader * header, guint8 session)
{
  memset (header, 0, sizeof *header);
  memset (header->session_id, session, sizeof header->session_id);
  g_strlcpy (header->codec, "f16", sizeof header->codec);
  g_strlcpy (header->model_name, "test", sizeof header->model_name);
  header->split_layer = 10;
  header->hidden_size = 576;
  header->vocab_size = 49152;
  header->has_feedback = TRUE;
}

void
link_open (Link * link, const RdSenderConfig * head,
    const RdReceiverConfig * tail)
{
  const RdSenderConfig default_head = RD_SENDER_CONFIG_DEFAULT;
  const RdReceiverConfig default_tail = RD_RECEIVER_CONFIG_DEFAULT;
  RdReceiverConfig seeded = tail ? *tail : default_tail;
  RdHeader header;

  memset (link, 0, sizeof *link);
  seeded.seed = 1;
  link_header (&header, 1);
  link->sender = rd_sender_new (head ? head : &default_head, &header, 9);
  link->receiver = rd_receiver_new (&seeded);
  link->peer = (RdPeer) { {
  10, 0, 0, 1}
  , 4000, 4, 0};
  link->now = LINK_SECOND;
}

void
link_close (Link * link)
{
  rd_sender_free (link->sender);
  rd_receiver_free (link->receiver);
}

void
link_rows (Link * link, guint count, gboolean sample)
{
  g_autofree guint8 *payload = g_malloc0 (ROW_BYTES * count);
  RdStates states = {.epoch = link->epoch,.position = link->position,
    .count = count,.step = count == 1,.sample = sample
  };
  GError *error = NULL;

  rd_sender_queue (link->sender, &states, payload, ROW_BYTES * count,
      link->now, &error);
  g_assert_no_error (error);
  link->position += count;
}

GBytes *
link_pull_head (Link * link)
{
  return rd_sender_pull (link->sender, link->now, NULL);
}

GBytes *
link_pull_tail (Link * link)
{
  RdPeer to;

  return rd_receiver_pull (link->receiver, link->now, &to);
}

static const gchar *
frame_name (const RdFrame * f)
{
  static const gchar *types[] = { "HEADER", "STATES", "TOKENS" };
  static const gchar *controls[] = { "ACK", "REPLAY", "KEY", "PROBE",
    "WORKING", "END", "END_ACK", "CANCEL", "ERROR", "KEEPALIVE"
  };

  return f->type == RD_FRAME_CONTROL ? controls[f->control] : types[f->type];
}

gchar *
link_names (GBytes * bytes)
{
  GString *out = g_string_new (NULL);
  const guint8 *data;
  gsize size;
  RdFrame f;

  if (!bytes)
    return g_string_free (g_string_append (out, "-"), FALSE);
  data = g_bytes_get_data (bytes, &size);
  while (size) {
    g_assert_true (rd_frame_parse (data, size, 1 << 24, &f, NULL));
    g_string_append_printf (out, "%s%s", out->len ? " " : "", frame_name (&f));
    data += f.size;
    size -= f.size;
  }
  g_bytes_unref (bytes);
  return g_string_free (out, FALSE);
}

void
link_find (GBytes * bytes, RdFrameType type, RdFrame * frame)
{
  const guint8 *data;
  gsize size;

  g_assert_nonnull (bytes);
  data = g_bytes_get_data (bytes, &size);
  do {
    g_assert_true (rd_frame_parse (data, size, 1 << 24, frame, NULL));
    data += frame->size;
    size -= frame->size;
  } while (frame->type != type);
}

void
link_to_tail (Link * link, GBytes * bytes)
{
  const guint8 *data;
  gsize size;
  RdFrame f;

  g_assert_nonnull (bytes);
  data = g_bytes_get_data (bytes, &size);
  while (size) {
    g_assert_true (rd_frame_parse (data, size, 1 << 24, &f, NULL));
    rd_receiver_feed (link->receiver, &link->peer, &f, link->now);
    data += f.size;
    size -= f.size;
  }
  g_bytes_unref (bytes);
}

void
link_to_head (Link * link, GBytes * bytes)
{
  RdFrame f;

  g_assert_nonnull (bytes);
  g_assert_true (rd_frame_parse (g_bytes_get_data (bytes, NULL),
          g_bytes_get_size (bytes), 1 << 24, &f, NULL));
  g_free (link->input.error);
  rd_sender_feed (link->sender, &f, link->now, &link->input);
  g_assert_cmpuint (link->input.n_ids, <=, G_N_ELEMENTS (link->ids));
  if (link->input.n_ids)
    memcpy (link->ids, link->input.ids, sizeof (gint32) * link->input.n_ids);
  g_bytes_unref (bytes);
}

gchar *
link_take (Link * link)
{
  RdDelivery *d = &link->delivery, next;
  gchar *name;

  if (!rd_receiver_next (link->receiver, link->now, &next))
    return g_strdup ("-");
  *d = next;
  link->given_id = d->type == RD_DELIVERY_STATES ?
      rd_frame_given_id (&d->frame) : -1;
  switch (d->type) {
    case RD_DELIVERY_BEGIN:
      name = g_strdup ("BEGIN");
      break;
    case RD_DELIVERY_STATES:
      name = g_strdup_printf ("STATES %u %u", d->position, d->frame.count);
      break;
    case RD_DELIVERY_CANCEL:
      name = g_strdup_printf ("CANCEL %u", d->position);
      break;
    default:
      name = g_strdup_printf (d->reason ? "END: %s" : "END", d->reason);
      break;
  }
  rd_receiver_taken (link->receiver, d, link->now);
  return name;
}

void
link_settle (Link * link)
{
  gboolean moved = TRUE;
  GBytes *bytes;

  while (moved) {
    g_autofree gchar *taken = NULL;

    moved = FALSE;
    while ((bytes = link_pull_head (link))) {
      link_to_tail (link, bytes);
      moved = TRUE;
    }
    taken = link_take (link);
    moved |= strcmp (taken, "-") != 0;
    while ((bytes = link_pull_tail (link))) {
      link_to_head (link, bytes);
      moved = TRUE;
    }
  }
}

void
link_warm_up (Link * link, guint count)
{
  guint i;

  for (i = 0; i < 2; i++) {
    link_rows (link, i ? count - count / 2 : count / 2, FALSE);
    link_settle (link);
    link->now += 20 * LINK_MS;
    link_settle (link);
  }
  g_assert_true (rd_sender_drained (link->sender));
}
