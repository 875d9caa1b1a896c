/* Tells ThreadSanitizer about GLib's locks and queues and about the last reference to a GStreamer object, whose futexes and atomics are inside
 * of libraries that it does not see. Preloaded by the test setup `tsan`; does nothing in a process without the sanitizer. */
#include <dlfcn.h>
#include <gst/gst.h>

#define EXPORT __attribute__((visibility ("default")))

extern void __tsan_acquire (void *address) __attribute__((weak));
extern void __tsan_release (void *address) __attribute__((weak));

/* The function of that name in the library behind this one, looked up once. */
#define REAL(name) \
  static __typeof__ (&name) real; \
  if (!real) \
    *(void **) &real = dlsym (RTLD_NEXT, #name)

static void
acquired (void *address)
{
  if (__tsan_acquire)
    __tsan_acquire (address);
}

static void
releases (void *address)
{
  if (__tsan_release)
    __tsan_release (address);
}

/* What @name takes from a queue was put into it before, by g_async_queue_push(). */
#define WRAP_POP(name, parameters, ...) \
  EXPORT gpointer name parameters \
  { REAL (name); gpointer data = real (__VA_ARGS__); acquired (queue); return data; }
#define WRAP_LOCK(name, Type) \
  EXPORT void name (Type * lock) { REAL (name); real (lock); acquired (lock); }
#define WRAP_UNLOCK(name, Type) \
  EXPORT void name (Type * lock) { REAL (name); releases (lock); real (lock); }
#define WRAP_TRYLOCK(name, Type) \
  EXPORT gboolean name (Type * lock) \
  { REAL (name); gboolean ok = real (lock); if (ok) acquired (lock); return ok; }

/* *INDENT-OFF* */
WRAP_LOCK (g_mutex_lock, GMutex)
WRAP_UNLOCK (g_mutex_unlock, GMutex)
WRAP_TRYLOCK (g_mutex_trylock, GMutex)
WRAP_LOCK (g_rec_mutex_lock, GRecMutex)
WRAP_UNLOCK (g_rec_mutex_unlock, GRecMutex)
WRAP_TRYLOCK (g_rec_mutex_trylock, GRecMutex)
WRAP_LOCK (g_rw_lock_writer_lock, GRWLock)
WRAP_UNLOCK (g_rw_lock_writer_unlock, GRWLock)
WRAP_LOCK (g_rw_lock_reader_lock, GRWLock)
WRAP_UNLOCK (g_rw_lock_reader_unlock, GRWLock)
WRAP_POP (g_async_queue_pop, (GAsyncQueue * queue), queue)
WRAP_POP (g_async_queue_try_pop, (GAsyncQueue * queue), queue)
WRAP_POP (g_async_queue_timeout_pop, (GAsyncQueue * queue, guint64 timeout), queue, timeout)
/* *INDENT-ON* */

/* A condition releases and takes the mutex inside of the library. */
EXPORT void
g_cond_wait (GCond * cond, GMutex * mutex)
{
  REAL (g_cond_wait);
  releases (mutex);
  real (cond, mutex);
  acquired (mutex);
}

EXPORT gboolean
g_cond_wait_until (GCond * cond, GMutex * mutex, gint64 end_time)
{
  REAL (g_cond_wait_until);
  releases (mutex);
  gboolean signalled = real (cond, mutex, end_time);
  acquired (mutex);
  return signalled;
}

/* g_once_init_enter() is inline and comes here only for the slow way. */
EXPORT gboolean (g_once_init_enter) (volatile void *location)
{
  static gboolean (*real) (volatile void *);
  if (!real)
    *(void **) &real = dlsym (RTLD_NEXT, "g_once_init_enter");
  gboolean first = real (location);
  acquired ((void *) location);
  return first;
}

EXPORT void (g_once_init_leave) (volatile void *location, gsize result)
{
  static void (*real) (volatile void *, gsize);
  if (!real)
    *(void **) &real = dlsym (RTLD_NEXT, "g_once_init_leave");
  releases ((void *) location);
  real (location, result);
}

EXPORT void
g_async_queue_push (GAsyncQueue * queue, gpointer data)
{
  REAL (g_async_queue_push);
  releases (queue);
  real (queue, data);
}

/* What others did with a buffer is done when the last one frees it. */
EXPORT void
gst_mini_object_unref (GstMiniObject * object)
{
  REAL (gst_mini_object_unref);
  releases (object);
  acquired (object);
  real (object);
}
