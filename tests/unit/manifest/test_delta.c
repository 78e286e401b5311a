/* SPDX-License-Identifier: Apache-2.0 */
#include "manifest/delta.h"

#include <stdlib.h>

#include "base/rand.h"
#include "base/text.h"
#include "tests/unit/run.h"

#define OLD_LEN 20000

static uint8_t old[OLD_LEN];
static struct dr_dynbuf image, patch, out;

static void set_up(void)
{
    struct dr_prng r;

    dr_prng_init(&r, 7);
    dr_prng_bytes(&r, old, sizeof old);
    dr_dynbuf_init(&image, 1 << 20);
    dr_dynbuf_init(&patch, 4 << 20);
    dr_dynbuf_init(&out, 1 << 20);
}

static void tear_down(void)
{
    dr_dynbuf_fini(&image);
    dr_dynbuf_fini(&patch);
    dr_dynbuf_fini(&out);
}

static struct dr_bytes old_bytes(void)
{
    return dr_bytes_of(old, sizeof old);
}

/* Pieces of the old image, changed octets and new data, in an order that the seed decides. */
static void mix(uint64_t seed)
{
    struct dr_prng r;
    uint8_t noise[300];

    dr_prng_init(&r, seed);
    dr_dynbuf_reset(&image);
    unsigned pieces = 1 + dr_prng_below(&r, 12);
    for (unsigned i = 0; i < pieces; i++) {
        uint32_t at = dr_prng_below(&r, OLD_LEN - 3000), len = 1 + dr_prng_below(&r, 3000);
        size_t start = image.len;
        dr_dynbuf_append(&image, old + at, len);
        for (unsigned k = dr_prng_below(&r, 20); k > 0; k--) {
            image.p[start + dr_prng_below(&r, len)] ^= (uint8_t)dr_prng_u64(&r);
        }
        dr_prng_bytes(&r, noise, sizeof noise);
        dr_dynbuf_append(&image, noise, dr_prng_below(&r, sizeof noise));
    }
}

static void round_trip(struct dr_bytes from, size_t frame)
{
    dr_dynbuf_reset(&patch);
    dr_dynbuf_reset(&out);
    ck_assert_int_eq(manifest_delta_create(from, dr_dynbuf_bytes(&image), frame, &patch), DR_OK);
    ck_assert_int_eq(manifest_delta_apply(from, dr_dynbuf_bytes(&patch), &out), DR_OK);
    ck_assert(dr_bytes_eq(dr_dynbuf_bytes(&out), dr_dynbuf_bytes(&image)));
}

START_TEST(a_patch_makes_the_new_image)
{
    static const size_t frames[] = {MANIFEST_DELTA_FRAME_MIN, 128, 512, 4096, 65536};

    mix((uint64_t)_i + 1);
    round_trip(old_bytes(), frames[(size_t)_i % DR_ARRAY_LEN(frames)]);
}
END_TEST

START_TEST(a_small_change_makes_a_small_patch)
{
    dr_dynbuf_append(&image, old, sizeof old);
    image.p[9000] ^= 0xff;
    round_trip(old_bytes(), 512);
    ck_assert_uint_lt(patch.len, 800);
    dr_dynbuf_reset(&image); /* moved parts are found */
    dr_dynbuf_append(&image, old + 10000, 10000);
    dr_dynbuf_append(&image, old, 10000);
    round_trip(old_bytes(), 512);
    ck_assert_uint_lt(patch.len, 800);
}
END_TEST

START_TEST(odd_images_work)
{
    static const uint8_t zeros[5000];

    dr_dynbuf_append_char(&image, 'x');
    round_trip(old_bytes(), 512);          /* one octet */
    round_trip(dr_bytes_of(NULL, 0), 512); /* nothing before */
    round_trip(dr_bytes_of("x", 1), 512);  /* the same octet */
    dr_dynbuf_append(&image, zeros, sizeof zeros);
    round_trip(dr_bytes_of(zeros, 3000), 512); /* one long run */
    round_trip(old_bytes(), 64);
    dr_dynbuf_reset(&image);
    ck_assert_int_eq(manifest_delta_create(old_bytes(), dr_dynbuf_bytes(&image), 512, &patch),
                     DR_ERR_INVAL); /* nothing after */
    dr_dynbuf_append_char(&image, 'x');
    ck_assert_int_eq(manifest_delta_create(old_bytes(), dr_dynbuf_bytes(&image),
                                           MANIFEST_DELTA_FRAME_MIN - 1, &patch),
                     DR_ERR_INVAL);
}
END_TEST

START_TEST(long_runs_take_no_quadratic_time)
{
    static const uint8_t zeros[400000];

    dr_dynbuf_append(&image, zeros, 200000);
    dr_dynbuf_append_char(&image, 'x');
    dr_dynbuf_append(&image, zeros, 200000);
    round_trip(dr_bytes_of(zeros, sizeof zeros), 4096);
    ck_assert_uint_lt(patch.len, 10000);
}
END_TEST

/* ---- feeding ---- */

struct sink {
    struct dr_dynbuf *to;
    unsigned fail_read, fail_write; /* at this call, 0 = never */
    size_t largest;
};

static dr_err_t read_old(void *data, uint64_t at, uint8_t *buf, size_t len)
{
    struct sink *k = data;

    ck_assert(at <= OLD_LEN && len <= OLD_LEN - at);
    memcpy(buf, old + at, len);
    return k->fail_read != 0 && --k->fail_read == 0 ? DR_ERR_IO : DR_OK;
}

static dr_err_t write_new(void *data, const uint8_t *buf, size_t len)
{
    struct sink *k = data;

    k->largest = len > k->largest ? len : k->largest;
    dr_dynbuf_append(k->to, buf, len);
    return k->fail_write != 0 && --k->fail_write == 0 ? DR_ERR_NOSPACE : DR_OK;
}

static dr_err_t feed(struct sink *k, struct dr_bytes in, size_t step, uint64_t new_max,
                     size_t frame)
{
    struct manifest_delta_io io = {
        .read_old = read_old, .write_new = write_new, .data = k, .old_size = OLD_LEN};
    struct manifest_delta *d = NULL;

    k->to = &out;
    dr_dynbuf_reset(&out);
    ck_assert_int_eq(manifest_delta_new(&io, new_max, frame, &d), DR_OK);
    dr_err_t err = DR_OK;
    for (size_t at = 0; err == DR_OK && at < in.len; at += step) {
        ck_assert_int_eq(manifest_delta_finish(d), DR_ERR_PROTO); /* not yet */
        err =
            manifest_delta_feed(d, dr_bytes_of(in.p + at, in.len - at < step ? in.len - at : step));
    }
    if (err == DR_OK) {
        err = manifest_delta_finish(d);
    }
    ck_assert_ptr_null(manifest_delta_free(d));
    return err;
}

START_TEST(pieces_of_any_size_give_the_same)
{
    struct sink k = {0};

    mix(99);
    round_trip(old_bytes(), 256);
    for (size_t step = 1; step < 700; step += step < 50 ? 1 : 97) {
        ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), step, 1 << 20, 256), DR_OK);
        ck_assert(dr_bytes_eq(dr_dynbuf_bytes(&out), dr_dynbuf_bytes(&image)));
    }
    ck_assert_uint_le(k.largest, 256); /* never more than a frame at once */
}
END_TEST

START_TEST(a_cut_patch_is_not_complete)
{
    struct sink k = {0};

    mix(3);
    round_trip(old_bytes(), 512);
    for (size_t cut = 0; cut < patch.len; cut++) {
        ck_assert_int_eq(feed(&k, dr_bytes_of(patch.p, cut), 4096, 1 << 20, 512), DR_ERR_PROTO);
    }
    dr_dynbuf_append_char(&patch, 0); /* and nothing may follow */
    ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, 1 << 20, 512), DR_ERR_PROTO);
}
END_TEST

START_TEST(limits_are_kept)
{
    struct sink k = {0};

    mix(3);
    round_trip(old_bytes(), 512);
    ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, image.len, 512), DR_OK);
    ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, image.len - 1, 512), DR_ERR_TOO_LARGE);
    ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, image.len, 511), DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(out.len, 0);
    struct dr_dynbuf small;
    dr_dynbuf_init(&small, image.len - 1);
    ck_assert_int_eq(manifest_delta_apply(old_bytes(), dr_dynbuf_bytes(&patch), &small),
                     DR_ERR_TOO_LARGE);
    ck_assert_uint_eq(small.len, 0);
    dr_dynbuf_fini(&small);
}
END_TEST

START_TEST(errors_of_the_files_stop_a_patch)
{
    mix(3);
    round_trip(old_bytes(), 512);
    for (unsigned n = 1; n < 5; n++) {
        struct sink k = {.fail_read = n};
        ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, 1 << 20, 512), DR_ERR_IO);
        k = (struct sink){.fail_write = n};
        ck_assert_int_eq(feed(&k, dr_dynbuf_bytes(&patch), 4096, 1 << 20, 512), DR_ERR_NOSPACE);
    }
}
END_TEST

/* ---- patches made by hand ---- */

#define MAGIC  "50454c494f4e2f425344494646303031"
#define NEW(n) n "00000000000000" /* below 256 */
#define F64    "4000000000000000"
#define HEAD   MAGIC NEW("04") F64 NEW("00")

static const struct {
    const char *why, *in;
    dr_err_t err;
} bad[] = {
    {"four new octets",
     HEAD "000400"
          "05"
          "4061626364",
     DR_OK},
    {"an empty image", MAGIC NEW("00") F64 NEW("00"), DR_OK},
    {"four differences of zero",
     HEAD "040000"
          "05"
          "4000000000",
     DR_OK},
    {"two records",
     HEAD "000202"
          "03"
          "206162"
          "000200"
          "03"
          "206364",
     DR_OK},
    {"the last seek means nothing",
     HEAD "0004ffff7f"
          "05"
          "4061626364",
     DR_OK},
    {"another magic", "51454c494f4e2f425344494646303031" NEW("04") F64 NEW("00"), DR_ERR_PROTO},
    {"frame limit below 64", MAGIC NEW("04") "3f00000000000000" NEW("00"), DR_ERR_PROTO},
    {"negative size", MAGIC "0400000000000080" F64 NEW("00"), DR_ERR_PROTO},
    {"size over 32 bits", MAGIC "0400000001000000" F64 NEW("00"), DR_ERR_PROTO},
    {"more than the image in the record", HEAD "0005", DR_ERR_PROTO},
    {"more than the image in both", HEAD "0203", DR_ERR_PROTO},
    {"frame of length 0",
     HEAD "000400"
          "00",
     DR_ERR_PROTO},
    {"frame over the limit",
     HEAD "000400"
          "41",
     DR_ERR_PROTO},
    {"frame yields too much",
     HEAD "000200"
          "05"
          "4061626364",
     DR_ERR_PROTO},
    {"no LZ4 block",
     HEAD "000400"
          "02"
          "f0ff",
     DR_ERR_PROTO},
    {"varint of 8 octets", HEAD "8080808080808000", DR_ERR_PROTO},
    {"varint of 7 octets",
     HEAD "80808080808000"
          "0400"
          "05"
          "4061626364",
     DR_OK},
    {"seek before the old image",
     HEAD "000203"
          "03"
          "206162"
          "000200"
          "03"
          "206364",
     DR_ERR_RANGE},
    {"seek behind the old image",
     HEAD "0002c2b802"
          "03"
          "206162",
     DR_ERR_RANGE},
    {"seek to the end of the old image",
     HEAD "0002c0b802"
          "03"
          "206162"
          "000200"
          "03"
          "206364",
     DR_OK},
    {"differences behind the old image",
     HEAD "0002c0b802"
          "03"
          "206162"
          "020000",
     DR_ERR_RANGE},
};

START_TEST(a_patch_is_read_strictly)
{
    uint8_t buf[256];
    size_t len = 0;

    ck_assert_int_eq(dr_hex_decode(bad[_i].in, strlen(bad[_i].in), buf, sizeof buf, &len), DR_OK);
    ck_assert_msg(manifest_delta_apply(old_bytes(), dr_bytes_of(buf, len), &out) == bad[_i].err,
                  "%s", bad[_i].why);
    ck_assert_uint_eq(out.len == 0, bad[_i].err != DR_OK || _i == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("manifest delta");
    TCase *tc = add_case(suite, "create");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, a_patch_makes_the_new_image, 0, 40);
    tcase_add_test(tc, a_small_change_makes_a_small_patch);
    tcase_add_test(tc, odd_images_work);
    tcase_add_test(tc, long_runs_take_no_quadratic_time);
    tc = add_case(suite, "apply");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, pieces_of_any_size_give_the_same);
    tcase_add_test(tc, a_cut_patch_is_not_complete);
    tcase_add_test(tc, limits_are_kept);
    tcase_add_test(tc, errors_of_the_files_stop_a_patch);
    tcase_add_loop_test(tc, a_patch_is_read_strictly, 0, DR_ARRAY_LEN(bad));
    return run_suite(suite);
}
