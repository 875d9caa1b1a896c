/* What is made of a file, once for all who want it at the same time: for as long as somebody holds an object, opening the file again gives the same one. */
#pragma once
#include <glib.h>

G_BEGIN_DECLS

/** RdFileCache: immutable objects of one kind. Static, with the functions set and the rest zero; any number of threads may use it. */
typedef struct
{
  gpointer (*load) (const gchar * path, GError ** error);       /* one file is loaded at a time */
  void (*free) (gpointer object);
  GMutex lock;
  GSList *entries;
} RdFileCache;

/** rd_file_cache_open: the object of the file at @path, the same as that of other holders as long as path, device, inode, size and the times of modification
 * and of the last change are the same; otherwise, and first, what load() gives. Give it back with rd_file_cache_close(). NULL after an error of load(). */
gpointer rd_file_cache_open (RdFileCache * cache, const gchar * path, GError ** error);

/** rd_file_cache_close: takes back an @object; with the last one that was given out it is freed. */
void rd_file_cache_close (RdFileCache * cache, gpointer object);

G_END_DECLS
