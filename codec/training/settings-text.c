#include "codec/training/settings-text.h"

/* Digits that are enough to read any double back. */
#define MAX_DIGITS 17

void
rd_settings_append_number (GString * text, double value)
{
  gchar digits[G_ASCII_DTOSTR_BUF_SIZE];

  for (int n = 1; n <= MAX_DIGITS; n++) {
    gchar format[] = "%.00g";

    format[2] = (gchar) ('0' + n / 10);
    format[3] = (gchar) ('0' + n % 10);
    g_ascii_formatd (digits, sizeof (digits), format, value);
    if (g_ascii_strtod (digits, NULL) == value)
      break;
  }
  g_string_append (text, digits);
}
