/* Enumerations as GTypes. */
#pragma once
#include <glib-object.h>

G_BEGIN_DECLS

/** GST_RD_ENUM_TYPE: defines @function as the GType named @name of the GEnumValues that follow. */
#define GST_RD_ENUM_TYPE(function, name, ...) \
GType \
function (void) \
{ \
  static const GEnumValue values[] = { __VA_ARGS__, {0, NULL, NULL} }; \
  static GType type; \
 \
  if (g_once_init_enter (&type)) \
    g_once_init_leave (&type, g_enum_register_static (name, values)); \
  return type; \
}

G_END_DECLS
