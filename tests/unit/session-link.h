/* One head and one tail, hand to hand: a test pulls, loses and delivers what it likes, and reads frames as words ("HEADER STATES"). */
#pragma once
#include "codec/session/receiver.h"
#include "codec/session/sender.h"

G_BEGIN_DECLS

#define LINK_MS G_TIME_SPAN_MILLISECOND
#define LINK_SECOND G_TIME_SPAN_SECOND

typedef struct
{
  RdSender *sender;
  RdReceiver *receiver;
  RdPeer peer;                  /* of the head */
  gint64 now;
  guint32 position, epoch;      /* of what link_rows() queues next */
  RdSenderInput input;          /* of the last frame that the head was given; ids copied */
  gint32 ids[16];
  RdDelivery delivery;          /* the last one, already taken: only its numbers are valid */
  gint32 given_id;              /* of its frame, -1 = none */
} Link;

void link_header (RdHeader * header, guint8 session);
/** NULL = the default configuration. */
void link_open (Link * link, const RdSenderConfig * head, const RdReceiverConfig * tail);
void link_close (Link * link);
/** Queues @count rows of 100 bytes; step regime if @count is 1. */
void link_rows (Link * link, guint count, gboolean sample);
/** The head's or the tail's next buffer, NULL if there is none. */
GBytes *link_pull_head (Link * link);
GBytes *link_pull_tail (Link * link);
/** What the frames in @bytes are, joined by blanks; "-" for NULL. Takes @bytes. */
gchar *link_names (GBytes * bytes);
/** The first frame in @bytes of @type, which must be there; points into @bytes. */
void link_find (GBytes * bytes, RdFrameType type, RdFrame * frame);
/** Delivers and frees. */
void link_to_tail (Link * link, GBytes * bytes);
void link_to_head (Link * link, GBytes * bytes);
/** Takes the next delivery: "BEGIN", "STATES 0 8" (position, count), "CANCEL 5", "END", "END: reason"; "-" if there is none. */
gchar *link_take (Link * link);
/** Everything both ways, deliveries taken, until nothing moves at this time. */
void link_settle (Link * link);
/** HEADER is out of the way and the address proved; @count rows have crossed. */
void link_warm_up (Link * link, guint count);

#define link_expect_head(link, expected) G_STMT_START { \
    g_autofree gchar *names_ = link_names (link_pull_head (link)); \
    g_assert_cmpstr (names_, ==, expected); } G_STMT_END
#define link_expect_tail(link, expected) G_STMT_START { \
    g_autofree gchar *names_ = link_names (link_pull_tail (link)); \
    g_assert_cmpstr (names_, ==, expected); } G_STMT_END
#define link_expect_take(link, expected) G_STMT_START { \
    g_autofree gchar *names_ = link_take (link); \
    g_assert_cmpstr (names_, ==, expected); } G_STMT_END

G_END_DECLS
