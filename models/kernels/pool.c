/* Worker threads of the kernels.
 *
 * A run publishes a function and a count of items; every thread takes items until none is left, and the caller returns when the last
 * one is done. Which thread does what is left to chance, so nothing an item computes may depend on it. A worker that wakes late finds
 * nothing to do: nobody waits for it. Workers spin briefly for the next run before they sleep, because a step through a model is
 * hundreds of runs a few microseconds apart. With one thread nothing is started and the caller does everything itself. */
#include "models/kernels/pool.h"
#include "models/kernels/fpmode.h"

#include <stdlib.h>

#define MAX_THREADS 256
#define SPINS 600               /* some 20 microseconds */

#if defined (__x86_64__) || defined (__i386__)
#define spin_pause() __builtin_ia32_pause ()
#else
#define spin_pause() __asm__ volatile ("" ::: "memory")
#endif

typedef struct
{
  float *data;
  gsize size;
} Scratch;

typedef struct
{
  StPool *pool;
  guint index;
  GThread *thread;
} Worker;

struct _StPool
{
  guint n_threads;
  Worker *workers;              /* n_threads - 1; the caller is worker 0 */
  Scratch *scratch;             /* n_threads + 1 */

  GMutex lock;
  GCond start, done;
  guint run;                    /* atomic; number of the current run */
  guint sleepers;               /* atomic, written under the lock; workers in start */
  gboolean quit;                /* atomic */

  /* Written while left is 0, so that no worker reads them. */
  StPoolFunc func;
  gpointer user_data;
  gsize n;
  gssize left;                  /* atomic; items not taken, below 0 after a vain attempt */
  gsize pending;                /* atomic; items not done */
};

/* Takes items until there are none. A count is taken before anything else is read: whoever gets one above 0 has an item of the current
 * run, which cannot end before that item is done, and whoever comes too late for a run gets none. */
static void
take_items (StPool * pool, guint worker)
{
  gssize left;

  while ((left = __atomic_fetch_sub (&pool->left, 1, __ATOMIC_ACQ_REL)) > 0) {
    pool->func (pool->n - (gsize) left, worker, pool->user_data);
    if (__atomic_sub_fetch (&pool->pending, 1, __ATOMIC_ACQ_REL) == 0
        && worker != 0) {
      g_mutex_lock (&pool->lock);
      g_cond_signal (&pool->done);
      g_mutex_unlock (&pool->lock);
    }
  }
}

/* Waits for a run other than @seen and returns its number. FALSE when the pool is being freed. */
static gboolean
wait_for_run (StPool * pool, guint * seen)
{
  gboolean quit;

  for (guint i = 0; i < SPINS; i++) {
    if (__atomic_load_n (&pool->run, __ATOMIC_ACQUIRE) != *seen) {
      *seen = __atomic_load_n (&pool->run, __ATOMIC_ACQUIRE);
      return TRUE;
    }
    spin_pause ();
  }
  g_mutex_lock (&pool->lock);
  __atomic_add_fetch (&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n (&pool->run, __ATOMIC_SEQ_CST) == *seen
      && !__atomic_load_n (&pool->quit, __ATOMIC_ACQUIRE))
    g_cond_wait (&pool->start, &pool->lock);
  __atomic_sub_fetch (&pool->sleepers, 1, __ATOMIC_SEQ_CST);
  *seen = __atomic_load_n (&pool->run, __ATOMIC_ACQUIRE);
  quit = __atomic_load_n (&pool->quit, __ATOMIC_ACQUIRE);
  g_mutex_unlock (&pool->lock);
  return !quit;
}

static gpointer
worker_main (gpointer data)
{
  Worker *worker = data;
  guint seen = 0;

  (void) st_fp_enter ();
  while (wait_for_run (worker->pool, &seen))
    take_items (worker->pool, worker->index);
  return NULL;
}

StPool *
st_pool_new (guint threads)
{
  StPool *pool = g_new0 (StPool, 1);

  if (threads == 0)
    threads = g_get_num_processors ();
  pool->n_threads = CLAMP (threads, 1, MAX_THREADS);
  pool->scratch = g_new0 (Scratch, pool->n_threads + 1);
  pool->workers = g_new0 (Worker, pool->n_threads - 1);
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->start);
  g_cond_init (&pool->done);
  for (guint i = 0; i + 1 < pool->n_threads; i++) {
    Worker *worker = &pool->workers[i];

    worker->pool = pool;
    worker->index = i + 1;
    worker->thread = g_thread_new ("st-kernels", worker_main, worker);
  }
  return pool;
}

void
st_pool_free (StPool * pool)
{
  if (pool == NULL)
    return;
  g_mutex_lock (&pool->lock);
  __atomic_store_n (&pool->quit, TRUE, __ATOMIC_RELEASE);
  g_cond_broadcast (&pool->start);
  g_mutex_unlock (&pool->lock);
  for (guint i = 0; i + 1 < pool->n_threads; i++)
    g_thread_join (pool->workers[i].thread);
  for (guint i = 0; i <= pool->n_threads; i++)
    free (pool->scratch[i].data);
  g_mutex_clear (&pool->lock);
  g_cond_clear (&pool->start);
  g_cond_clear (&pool->done);
  g_free (pool->workers);
  g_free (pool->scratch);
  g_free (pool);
}

guint
st_pool_threads (const StPool * pool)
{
  return pool->n_threads;
}

float *
st_pool_scratch (StPool * pool, guint slot, gsize n)
{
  Scratch *s = &pool->scratch[slot];

  if (s->size < n) {
    free (s->data);
    s->size = 0;
    s->data = NULL;
    if (n > G_MAXSIZE / sizeof (float) ||
        posix_memalign ((void **) &s->data, 64, n * sizeof (float)) != 0)
      g_error ("out of memory: %" G_GSIZE_FORMAT " floats of scratch", n);
    s->size = n;
  }
  return s->data;
}

/* Wakes the workers. A worker counts itself as a sleeper before it looks at the run for the last time, so none is missed. */
static void
announce_run (StPool * pool)
{
  __atomic_add_fetch (&pool->run, 1, __ATOMIC_SEQ_CST);
  if (__atomic_load_n (&pool->sleepers, __ATOMIC_SEQ_CST) == 0)
    return;
  g_mutex_lock (&pool->lock);
  g_cond_broadcast (&pool->start);
  g_mutex_unlock (&pool->lock);
}

static void
wait_until_done (StPool * pool)
{
  for (guint i = 0; i < SPINS; i++) {
    if (__atomic_load_n (&pool->pending, __ATOMIC_ACQUIRE) == 0)
      return;
    spin_pause ();
  }
  g_mutex_lock (&pool->lock);
  while (__atomic_load_n (&pool->pending, __ATOMIC_ACQUIRE) != 0)
    g_cond_wait (&pool->done, &pool->lock);
  g_mutex_unlock (&pool->lock);
}

void
st_pool_run_workers (StPool * pool, gsize n, StPoolFunc func,
    gpointer user_data)
{
  const StFpMode mode = st_fp_enter ();

  if (pool->n_threads == 1 || n <= 1) {
    for (gsize i = 0; i < n; i++)
      func (i, 0, user_data);
  } else {
    pool->func = func;
    pool->user_data = user_data;
    pool->n = n;
    __atomic_store_n (&pool->pending, n, __ATOMIC_RELAXED);
    __atomic_store_n (&pool->left, (gssize) n, __ATOMIC_RELEASE);
    announce_run (pool);
    take_items (pool, 0);
    wait_until_done (pool);
  }
  st_fp_leave (mode);
}

typedef struct
{
  void (*func) (gsize index, gpointer user_data);
  gpointer user_data;
} PlainRun;

static void
plain_item (gsize index, guint worker, gpointer user_data)
{
  const PlainRun *run = user_data;

  (void) worker;
  run->func (index, run->user_data);
}

void
st_pool_run (StPool * pool, gsize n, void (*func) (gsize index,
        gpointer user_data), gpointer user_data)
{
  PlainRun run = { func, user_data };

  st_pool_run_workers (pool, n, plain_item, &run);
}
