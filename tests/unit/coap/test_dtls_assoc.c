/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dtls_assoc.h"

#include <check.h>
#include <string.h>

static struct dtls_crypto *crypto;
static struct dtls_assoc us, them;
static struct dtls_input in;

static void setup(void)
{
    ck_assert_int_eq(dtls_crypto_new(&crypto), DR_OK);
    memset(&us, 0, sizeof us);
    memset(&them, 0, sizeof them);
    us.suite = them.suite = DTLS_AES128_CCM8;
    us.rx_key[0] = them.tx_key[0] = 1;
    us.tx_key[0] = them.rx_key[0] = 2;
    us.rx_salt[0] = them.tx_salt[0] = 3;
    us.tx_salt[0] = them.rx_salt[0] = 4;
    us.tx_nonce = them.tx_nonce = (uint64_t)1 << 48;
    them.flags = DTLS_ASSOC_CLIENT;
}

static void teardown(void)
{
    dtls_assoc_fini(&us);
    dtls_assoc_fini(&them);
    crypto = dtls_crypto_free(crypto);
}

static size_t seal(struct dtls_assoc *a, uint8_t type, const void *p, size_t len, uint8_t buf[256])
{
    size_t n = 0;

    memcpy(buf + DTLS_SEAL_HEAD, p, len);
    ck_assert_int_eq(dtls_assoc_seal(a, crypto, type, buf, len, &n), DR_OK);
    ck_assert_uint_eq(n, len + dtls_assoc_overhead(a));
    return n;
}

static enum dtls_got give(struct dtls_assoc *a, const uint8_t *p, size_t len, uint64_t now_ms)
{
    static uint8_t copy[256];
    struct dtls_record rec;
    size_t off = 0;

    memcpy(copy, p, len);
    ck_assert(dtls_record_next(copy, len, &off, &rec));
    dtls_assoc_input(a, crypto, &rec, now_ms, &in);
    return in.got;
}

static enum dtls_got send_to_us(uint8_t type, const void *p, size_t len, uint64_t now_ms)
{
    uint8_t buf[256];
    size_t n = seal(&them, type, p, len, buf);

    return give(&us, buf, n, now_ms);
}

START_TEST(data_goes_both_ways)
{
    uint8_t buf[256];

    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(send_to_us(DTLS_TYPE_DATA, "ping", 4, 0), DTLS_GOT_DATA);
        ck_assert(in.newest);
        ck_assert_uint_eq(in.len, 4);
        ck_assert_mem_eq(in.data, "ping", 4);
        size_t n = seal(&us, DTLS_TYPE_DATA, "pong!", 5, buf);
        ck_assert_int_eq(give(&them, buf, n, 0), DTLS_GOT_DATA);
        ck_assert_mem_eq(in.data, "pong!", 5);
    }
    ck_assert_uint_eq(us.tx_seq, 100);
}
END_TEST

START_TEST(a_replayed_record_is_dropped)
{
    uint8_t a[256], b[256];
    size_t n = seal(&them, DTLS_TYPE_DATA, "one", 3, a);
    size_t m = seal(&them, DTLS_TYPE_DATA, "two", 3, b);

    ck_assert_int_eq(give(&us, b, m, 0), DTLS_GOT_DATA);
    ck_assert_int_eq(give(&us, a, n, 0), DTLS_GOT_DATA); /* late is fine */
    ck_assert(!in.newest);
    ck_assert_int_eq(give(&us, a, n, 0), DTLS_GOT_REPLAY);
    ck_assert_int_eq(give(&us, b, m, 0), DTLS_GOT_REPLAY);
    ck_assert_ptr_null(in.data);
}
END_TEST

START_TEST(a_forged_record_changes_nothing)
{
    uint8_t good[256], bad[256];
    size_t n = seal(&them, DTLS_TYPE_DATA, "text", 4, good);
    struct dtls_assoc before = us;

    for (size_t i = DTLS_HEADER_LEN; i < n; i++) {
        memcpy(bad, good, n);
        bad[i] ^= 0x80;
        ck_assert_int_eq(give(&us, bad, n, 0), DTLS_GOT_BAD);
    }
    memcpy(bad, good, n);
    bad[5] = 0x70; /* a number far ahead must not move the window */
    ck_assert_int_eq(give(&us, bad, n, 0), DTLS_GOT_BAD);
    ck_assert_mem_eq(&us, &before, sizeof us);
    ck_assert_int_eq(give(&us, good, n, 0), DTLS_GOT_DATA);
}
END_TEST

START_TEST(only_epoch_one_counts)
{
    uint8_t alert[DTLS_HEADER_LEN + 2];
    uint8_t buf[256];
    size_t n;

    for (uint16_t epoch = 0; epoch < 4; epoch++) {
        /* spec: RFC6347#4.1.2.7: a plain fatal alert from anybody ends nothing */
        dtls_header_write(alert, DTLS_TYPE_ALERT, epoch, 9, 2);
        alert[13] = 2;
        alert[14] = 40;
        ck_assert_int_eq(give(&us, alert, sizeof alert, 0), DTLS_GOT_BAD);
    }
    n = seal(&them, DTLS_TYPE_DATA, "x", 1, buf);
    buf[4] = 2;
    ck_assert_int_eq(give(&us, buf, n, 0), DTLS_GOT_BAD);
    buf[4] = 1;
    ck_assert_int_eq(give(&us, buf, n, 0), DTLS_GOT_DATA);
}
END_TEST

START_TEST(close_notify_is_answered_and_ends)
{
    uint8_t out[DTLS_ALERT_LEN_MAX], buf[256];
    size_t n = dtls_assoc_close(&them, crypto, out);

    ck_assert_uint_gt(n, 0);
    ck_assert_int_eq(dtls_assoc_seal(&them, crypto, DTLS_TYPE_DATA, buf, 1, &(size_t){0}),
                     DR_ERR_GONE);
    ck_assert_int_eq(give(&us, out, n, 0), DTLS_GOT_CLOSED);
    ck_assert_uint_gt(in.reply_len, 0);
    ck_assert_int_eq(dtls_assoc_seal(&us, crypto, DTLS_TYPE_DATA, buf, 1, &(size_t){0}),
                     DR_ERR_GONE);
    /* the answer is an authentic close_notify */
    them.flags &= (uint8_t)~DTLS_ASSOC_CLOSED;
    ck_assert_int_eq(give(&them, in.reply, in.reply_len, 0), DTLS_GOT_CLOSED);
}
END_TEST

START_TEST(alerts_by_level)
{
    ck_assert_int_eq(send_to_us(DTLS_TYPE_ALERT, "\x01\x5a", 2, 0), DTLS_GOT_NOTHING);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_ALERT, "\x02", 1, 0), DTLS_GOT_NOTHING);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_ALERT, "\x02\x14", 2, 0), DTLS_GOT_FATAL);
    ck_assert_uint_eq(in.alert, 20);
    ck_assert_uint_eq(in.reply_len, 0);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_DATA, "x", 1, 0), DTLS_GOT_BAD);
}
END_TEST

START_TEST(renegotiation_is_declined_with_a_warning)
{
    static const uint8_t hello[12] = {1}, request[12] = {0};
    uint8_t buf[256];

    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, hello, sizeof hello, 0), DTLS_GOT_REPLY);
    ck_assert_int_eq(give(&them, in.reply, in.reply_len, 0), DTLS_GOT_NOTHING);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_DATA, "still", 5, 0), DTLS_GOT_DATA);
    /* a client declines a HelloRequest, a server has never heard of one */
    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, request, sizeof request, 0), DTLS_GOT_NOTHING);
    size_t n = seal(&us, DTLS_TYPE_HANDSHAKE, request, sizeof request, buf);
    ck_assert_int_eq(give(&them, buf, n, 0), DTLS_GOT_REPLY);
    ck_assert_uint_eq(in.reply[0], DTLS_TYPE_ALERT);
}
END_TEST

START_TEST(the_last_flight_is_repeated_once_a_second_until_data)
{
    static const uint8_t finished[24] = {20};
    static const uint8_t flight[] = {0, 3, 'a', 'b', 'c', 0, 2, 'd', 'e'};
    const uint8_t *p;
    size_t off = 0;

    ck_assert_int_eq(dtls_assoc_flight_put(&us, flight, sizeof flight), DR_OK);
    ck_assert(dtls_assoc_has_flight(&us));
    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, finished, 24, 5000), DTLS_GOT_REPEAT);
    ck_assert_uint_eq(dtls_assoc_flight_next(&us, &off, &p), 3);
    ck_assert_mem_eq(p, "abc", 3);
    ck_assert_uint_eq(dtls_assoc_flight_next(&us, &off, &p), 2);
    ck_assert_mem_eq(p, "de", 2);
    ck_assert_uint_eq(dtls_assoc_flight_next(&us, &off, &p), 0);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, finished, 24, 5999), DTLS_GOT_NOTHING);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, finished, 24, 6000), DTLS_GOT_REPEAT);
    ck_assert_int_eq(send_to_us(DTLS_TYPE_DATA, "x", 1, 6000), DTLS_GOT_DATA);
    ck_assert(!dtls_assoc_has_flight(&us));
    ck_assert_int_eq(send_to_us(DTLS_TYPE_HANDSHAKE, finished, 24, 9000), DTLS_GOT_NOTHING);
}
END_TEST

START_TEST(sequence_numbers_end)
{
    uint8_t buf[256];
    size_t n = 0;

    us.tx_seq = DTLS_SEQ_MAX - 1;
    n = seal(&us, DTLS_TYPE_DATA, "last", 4, buf);
    ck_assert_int_eq(give(&them, buf, n, 0), DTLS_GOT_DATA);
    ck_assert_int_eq(dtls_assoc_seal(&us, crypto, DTLS_TYPE_DATA, buf, 4, &n), DR_ERR_LIMIT);
    ck_assert_int_eq(dtls_assoc_seal(&us, crypto, DTLS_TYPE_DATA, buf, 4, &n), DR_ERR_LIMIT);
}
END_TEST

START_TEST(a_probe_changes_nothing)
{
    uint8_t buf[256], scratch[256];
    size_t n = seal(&them, DTLS_TYPE_DATA, "mine", 4, buf), off = 0;
    struct dtls_record rec;
    struct dtls_assoc before = us;

    ck_assert(dtls_record_next(buf, n, &off, &rec));
    ck_assert(dtls_assoc_probe(&us, crypto, &rec, scratch, sizeof scratch));
    ck_assert(!dtls_assoc_probe(&them, crypto, &rec, scratch, sizeof scratch));
    ck_assert(!dtls_assoc_probe(&us, crypto, &rec, scratch, n - 1));
    ck_assert_mem_eq(&us, &before, sizeof us);
    ck_assert_int_eq(give(&us, buf, n, 0), DTLS_GOT_DATA);
}
END_TEST

START_TEST(fini_leaves_no_keys)
{
    struct dtls_assoc zero;

    memset(&zero, 0, sizeof zero);
    ck_assert_int_eq(dtls_assoc_flight_put(&us, (const uint8_t *)"\0\0", 2), DR_OK);
    dtls_assoc_fini(&us);
    ck_assert_mem_eq(&us, &zero, sizeof us);
    dtls_assoc_fini(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dtls_assoc");
    TCase *t = tcase_create("records");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, data_goes_both_ways);
    tcase_add_test(t, a_replayed_record_is_dropped);
    tcase_add_test(t, a_forged_record_changes_nothing);
    tcase_add_test(t, only_epoch_one_counts);
    tcase_add_test(t, sequence_numbers_end);
    tcase_add_test(t, a_probe_changes_nothing);
    tcase_add_test(t, fini_leaves_no_keys);
    suite_add_tcase(s, t);
    t = tcase_create("rules");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, close_notify_is_answered_and_ends);
    tcase_add_test(t, alerts_by_level);
    tcase_add_test(t, renegotiation_is_declined_with_a_warning);
    tcase_add_test(t, the_last_flight_is_repeated_once_a_second_until_data);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed;
}
