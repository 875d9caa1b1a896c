/* Made by tests/support/make-type-vectors.py: do not edit. */
#define N_BLOCKS 64
#define N_SHOWN 8

static const struct
{
  StType type;
  const gchar *name;
  guint block_size, block_bytes;
  gint upper[2];                /* bytes of a block to clear bit 6 of, -1 for none */
  const gchar *sha256;
  guint32 first[N_SHOWN];       /* bits of the first values */
} type_vectors[] = {
  {ST_TYPE_F32, "F32", 1, 4, {3, -1},
      "ce3c34e4310ab21b877396f3cbd7f0116b2b947f9203d72da294b6a3740f6e0e",
      {0xb4815e3c, 0x8ec65e0c, 0x2c40a304, 0xbb3cd697, 0x88ae53dc, 0x11121a37, 0x2195b521, 0x2deec043}},
  {ST_TYPE_F16, "F16", 1, 2, {1, -1},
      "7f064c0bd9fe9dcfa3c073d86d185cfc322c3098901c4836ffeb5f6069eb6bb2",
      {0x3bc78000, 0xbe902000, 0x3bc18000, 0xb9d8c000, 0xbc608000, 0x3d880000, 0xbad2e000, 0xbf678000}},
  {ST_TYPE_BF16, "BF16", 1, 2, {1, -1},
      "2cd74cd9f43b7758021eb61f4f416a1adaef0bbe87376af6db34286278ca6739",
      {0x1e3c0000, 0xb4810000, 0x1e0c0000, 0x8ec60000, 0xa3040000, 0x2c400000, 0x96970000, 0xbb3c0000}},
  {ST_TYPE_Q8_0, "Q8_0", 32, 34, {1, -1},
      "5cd30fbd5c5638425ca4d93fd54f9940b1f1c1e4c3f60f285f19c4f37e27f8c1",
      {0xbf45f100, 0xbeece800, 0x3d95a000, 0x3f128200, 0xbeb4cc00, 0xbf31ae00, 0x3cc78000, 0xbf10f300}},
  {ST_TYPE_Q4_0, "Q4_0", 32, 18, {1, -1},
      "b898027311482795e3b3ec86f2c507c723e26e0dc6928abbb93065dd56d30a4c",
      {0xbd2e9000, 0xbcc78000, 0x3cc78000, 0x3d15a000, 0xbc478000, 0x3d15a000, 0xbcc78000, 0xbcf96000}},
  {ST_TYPE_Q4_1, "Q4_1", 32, 20, {1, 3},
      "d85182e3542dad27df10af4ff5cf3885e73b5be8ca540df928f612c4de0ce0b8",
      {0xbe557000, 0xbe48f800, 0xbe7ad800, 0xbe48f800, 0xbe83a800, 0xbe86c600, 0xbe902000, 0xbe557000}},
  {ST_TYPE_Q5_0, "Q5_0", 32, 22, {1, -1},
      "b6f81b395603fa9598b52515cd365058012c42a9adccd49c54ae55285d5a5cf0",
      {0x3d15a000, 0xbc478000, 0xbd95a000, 0xbda21800, 0xbdc78000, 0xbcc78000, 0xbd607000, 0x3d15a000}},
  {ST_TYPE_Q5_1, "Q5_1", 32, 24, {1, 3},
      "af296a3c3eaba5b00b390bf5aa1eb3cfddd4e2515319eecf4d760313cc0cf81d",
      {0xbe83a800, 0xbe86c600, 0xbe3c8000, 0xbde36000, 0xbe749c00, 0xbe7ad800, 0xbe557000, 0xbe5bac00}},
  {ST_TYPE_Q4_K, "Q4_K", 256, 144, {1, 3},
      "31ef4ef4b1ba3983278064e1b2b10cd22f1184a565833a7ae9d517bda9e1c07b",
      {0x40002c00, 0x3fac2e00, 0x40098600, 0x3fdaf000, 0x3fd19600, 0x3feda400, 0x3fa2d400, 0x3f997a00}},
  {ST_TYPE_Q5_K, "Q5_K", 256, 176, {1, 3},
      "c47acdcad141e20b68ebf360b6910a81e17d548b15ce4561e3c662858a4bb39e",
      {0x3fd19600, 0x40590300, 0x3fb58800, 0x3fb58800, 0x4020e700, 0x3ff6fe00, 0x3fb58800, 0x402eee00}},
  {ST_TYPE_Q6_K, "Q6_K", 256, 210, {209, -1},
      "d9b070473ff7851ad3a30bc804f3424c2cb8fcabd2960a0ae058772ae6cda1a6",
      {0xc5030720, 0x4315bf00, 0x45111108, 0x44609e80, 0x44bb2ec0, 0xc4830720, 0xc4cde6a0, 0x44a876e0}},
};

/* SHA-256 of all halves that are numbers or infinite, as floats, in the order of their bits. */
static const gchar all_halves_sha256[] =
    "680bbc22915f61aa1bbfc7265bc3882a6aa42d299bfd2c571807196e5544de2e";

static const struct
{
  guint32 value;                /* bits of a float */
  guint16 half;
} half_vectors[] = {
  {0x00000000, 0x0000},
  {0x80000000, 0x8000},
  {0x3f800000, 0x3c00},
  {0xc0200000, 0xc100},
  {0x477fe000, 0x7bff},
  {0x477feffd, 0x7bff},
  {0x477ff000, 0x7c00},
  {0x49742400, 0x7c00},
  {0xc9742400, 0xfc00},
  {0x38800000, 0x0400},
  {0x33800000, 0x0001},
  {0x33000000, 0x0000},
  {0x33400000, 0x0001},
  {0xb2800000, 0x8000},
  {0x33c00000, 0x0002},
  {0x387fe000, 0x0400},
  {0x3f801000, 0x3c00},
  {0x3f803000, 0x3c02},
  {0x3dcccccd, 0x2e66},
  {0xbeaaaaab, 0xb555},
  {0x00000001, 0x0000},
  {0x45001000, 0x6800},
  {0x45003000, 0x6802},
  {0x7f800000, 0x7c00},
  {0xff800000, 0xfc00},
};
