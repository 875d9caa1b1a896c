#include "models/kernels/openblas.h"

#include <cblas.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "models/kernels/isa.h"

#define VARIABLE "OPENBLAS_CORETYPE"

static gboolean
is_one_of (const gchar * core, const gchar * const *names)
{
  for (; *names != NULL; names++) {
    if (g_ascii_strcasecmp (core, *names) == 0)
      return TRUE;
  }
  return FALSE;
}

/* Names of driver/others/dynamic.c of OpenBLAS. Those that are not here are left alone: they are newer than this list, or of no x86 CPU. */
const gchar *
st_openblas_wanted_core (const gchar * core, gboolean avx2, gboolean avx512)
{
  static const gchar *const with_avx2[] = { "Haswell", "Zen", "Excavator",
    NULL
  };
  static const gchar *const without[] = { "Katmai", "Coppermine", "Northwood",
    "Prescott", "Banias", "Atom", "Core2", "Penryn", "Dunnington", "Nehalem",
    "Sandybridge", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Bobcat",
    "Bulldozer", "Piledriver", "Steamroller", "Nano", NULL
  };
  const gboolean old = is_one_of (core, without);

  if (avx512 && (old || is_one_of (core, with_avx2)))
    return "SkylakeX";
  return avx2 && old ? "Haswell" : NULL;
}

#if defined (ST_HAVE_X86) && defined (__linux__)
static gboolean
has (const StIsa * isa)
{
  const StIsa *const *supported = st_isa_supported ();

  while (*supported != NULL && *supported != isa)
    supported++;
  return *supported != NULL;
}

/* By its own path: the kernel names a process after the file. Returns if that fails, with what is the matter. The file is the dynamic loader where
 * that was told to start the program, and would take the arguments for its own. */
static const gchar *
start_anew (gchar ** argv)
{
  g_autofree gchar *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree gchar *file = NULL, *name = NULL;

  if (self == NULL || argv[0] == NULL)
    return "which program this is cannot be told";
  file = g_path_get_basename (self);
  name = g_path_get_basename (argv[0]);
  if (strcmp (file, name) != 0)
    return "the file that runs has another name";
  execv (self, argv);
  return g_strerror (errno);
}

/* The variable is set afterwards, so that this happens once, whatever OpenBLAS makes of it. */
void
st_openblas_restart (gchar ** argv)
{
  const gchar *wanted, *fault;

  if (g_getenv (VARIABLE) != NULL)
    return;
  wanted = st_openblas_wanted_core (openblas_get_corename (),
      has (&st_avx2_isa), has (&st_avx512_isa));
  if (wanted == NULL)
    return;
  g_setenv (VARIABLE, wanted, TRUE);
  fault = start_anew (argv);
  g_printerr ("warning: OpenBLAS takes its kernels for %s, slow on this CPU, "
      "and starting anew with others failed (%s): set " VARIABLE "=%s\n",
      openblas_get_corename (), fault, wanted);
  g_unsetenv (VARIABLE);
}
#else
void
st_openblas_restart (gchar ** argv)
{
  (void) argv;
}
#endif
