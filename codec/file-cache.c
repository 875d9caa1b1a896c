#include "codec/file-cache.h"

#include <string.h>
#include <sys/stat.h>

typedef struct
{
  gchar *path;
  struct stat file;
  gpointer object;
  guint holders;
} Entry;

static gboolean
same_time (const struct timespec *a, const struct timespec *b)
{
  return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Whoever copies a file may set the time of modification, but not that of the last change. */
static gboolean
same_file (const struct stat *a, const struct stat *b)
{
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino
      && a->st_size == b->st_size && same_time (&a->st_mtim, &b->st_mtim)
      && same_time (&a->st_ctim, &b->st_ctim);
}

static Entry *
find (const RdFileCache * cache, const gchar * path, const struct stat *file)
{
  for (GSList * l = cache->entries; l; l = l->next) {
    Entry *entry = l->data;

    if (strcmp (entry->path, path) == 0 && same_file (&entry->file, file))
      return entry;
  }
  return NULL;
}

/* A file that changes meanwhile is known as it was before: whoever asks later gets a new object. */
static Entry *
add (RdFileCache * cache, const gchar * path, const struct stat *file,
    GError ** error)
{
  gpointer object = cache->load (path, error);
  Entry *entry;

  if (!object)
    return NULL;
  entry = g_new0 (Entry, 1);
  entry->path = g_strdup (path);
  entry->file = *file;
  entry->object = object;
  cache->entries = g_slist_prepend (cache->entries, entry);
  return entry;
}

gpointer
rd_file_cache_open (RdFileCache * cache, const gchar * path, GError ** error)
{
  struct stat file;
  Entry *entry;

  /* load() says what is wrong with a file that is not there */
  if (stat (path, &file) != 0)
    memset (&file, 0, sizeof file);
  g_mutex_lock (&cache->lock);
  entry = find (cache, path, &file);
  if (!entry)
    entry = add (cache, path, &file, error);
  if (entry)
    entry->holders++;
  g_mutex_unlock (&cache->lock);
  return entry ? entry->object : NULL;
}

void
rd_file_cache_close (RdFileCache * cache, gpointer object)
{
  gpointer last = NULL;

  g_mutex_lock (&cache->lock);
  for (GSList * l = cache->entries; l; l = l->next) {
    Entry *entry = l->data;

    if (entry->object != object)
      continue;
    if (--entry->holders == 0) {
      last = object;
      cache->entries = g_slist_delete_link (cache->entries, l);
      g_free (entry->path);
      g_free (entry);
    }
    break;
  }
  g_mutex_unlock (&cache->lock);
  if (last)
    cache->free (last);
}
