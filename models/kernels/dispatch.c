/* Chooses the instruction set once, at the first kernel call. */
#include "models/kernels/isa.h"

#include <string.h>
#ifdef ST_HAVE_X86
#include <cpuid.h>
#endif

#define MAX_SETS 4

static StIsa const *supported[MAX_SETS];
static guint n_supported;
static const StIsa *chosen;

#ifdef ST_HAVE_X86
/* Not every compiler's __builtin_cpu_supports() knows it. */
static gboolean
cpu_has_f16c (void)
{
  guint eax, ebx, ecx, edx;

  return __get_cpuid (1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

static gboolean
cpu_has_avx2 (void)
{
  return __builtin_cpu_supports ("avx2") && __builtin_cpu_supports ("fma") &&
      cpu_has_f16c ();
}

static gboolean
cpu_has_avx512 (void)
{
  return cpu_has_avx2 () && __builtin_cpu_supports ("avx512f") &&
      __builtin_cpu_supports ("avx512bw") &&
      __builtin_cpu_supports ("avx512vl") &&
      __builtin_cpu_supports ("avx512dq");
}
#endif

static void
list_supported (void)
{
#ifdef ST_HAVE_X86
  __builtin_cpu_init ();
  if (cpu_has_avx512 ())
    supported[n_supported++] = &st_avx512_isa;
  if (cpu_has_avx2 ())
    supported[n_supported++] = &st_avx2_isa;
#endif
  supported[n_supported++] = &st_c_isa;
}

/* The set that the environment variable ST_KERNELS names, else the best. */
static const StIsa *
choose (void)
{
  const gchar *wish = g_getenv ("ST_KERNELS");

  if (wish == NULL || *wish == '\0')
    return supported[0];
  for (guint i = 0; i < n_supported; i++) {
    if (strcmp (supported[i]->name, wish) == 0)
      return supported[i];
  }
  g_printerr ("ST_KERNELS=%s: not one of this CPU's instruction sets "
      "(avx512, avx2, c); using %s\n", wish, supported[0]->name);
  return supported[0];
}

static void
initialise (void)
{
  static gsize once;

  if (g_once_init_enter (&once)) {
    list_supported ();
    chosen = choose ();
    g_once_init_leave (&once, 1);
  }
}

const StIsa *
st_isa (void)
{
  initialise ();
  return chosen;
}

const StIsa *const *
st_isa_supported (void)
{
  initialise ();
  return supported;
}

const gchar *
st_kernels_name (void)
{
  return st_isa ()->name;
}
