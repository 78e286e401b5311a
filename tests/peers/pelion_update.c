/* SPDX-License-Identifier: Apache-2.0 */
/** A firmware update, step by step. */
#include <ctype.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_csr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/peers/pelion_me.h"

void peer_fw_state(const char *state)
{
    res_set_text("10252/0/2", state);
    peer_changed("10252/0/2");
    ev("fw-state");
    ev_str("state", state);
    ev_end();
}

static void fw_fail(int result)
{
    char text[12];

    snprintf(text, sizeof text, "%d", result);
    res_set_text("10252/0/3", text);
    peer_changed("10252/0/3");
    ev("fw-failed");
    ev_num("result", result);
    ev_end();
    me.fw.phase = 9;
}

static void fw_check_digest(void)
{
    uint8_t hash[32];

    (void)mbedtls_sha256_ret(me.fw.image, me.fw.got, hash, 0);
    if (me.fw.got != me.fw.m.size || memcmp(hash, me.fw.m.digest, sizeof hash) != 0) {
        fw_fail(26);
        return;
    }
    ev("downloaded");
    ev_num("size", (long)me.fw.got);
    ev_end();
    me.fw.phase = 4;
    peer_fw_state("6");
}

static void fw_download(void)
{
    if (strcmp(me.fw_how, "coap") == 0) {
        me.fw.got = 0;
        me.fw.backoff_ms = 1000;
        me.fw.phase = 3;
        peer_request(K_FW);
        return;
    }
    long half = (long)me.fw.m.size / 2; /* in two pieces: the second asks for a range */
    long n = half > 0 ? http_get(me.fw.m.uri, me.fw.image, (size_t)half, 0) : 0;
    long rest = n == half ? http_get(me.fw.m.uri, me.fw.image + half, me.fw.m.size - (size_t)half,
                                     (size_t)half)
                          : -1;
    if (rest < 0) {
        fw_fail(24);
        return;
    }
    me.fw.got = (size_t)(n + rest);
    fw_check_digest();
}

void peer_fw_block(const struct msg *m)
{
    struct req *q = &me.req;
    long block2 = msg_int(m, O_BLOCK2);

    if (m->code == CODE(5, 3)) {
        q->kind = K_NONE;
        me.fw.again_ms = now_ms() + me.fw.backoff_ms;
        me.fw.backoff_ms *= 2;
        ev("fw-later");
        ev_num("max_age", msg_int(m, O_MAX_AGE));
        ev_end();
        return;
    }
    if (m->code != CODE(2, 5) || me.fw.got + m->len > FW_MAX ||
        (block2 >= 0 && (unsigned)(block2 >> 4) != q->block)) {
        q->kind = K_NONE;
        ev("fw-refused");
        ev_code(m->code);
        ev_end();
        fw_fail(24);
        return;
    }
    if (q->block == 0) {
        ev("fw-first-block");
        ev_num("size2", msg_int(m, O_SIZE2));
        ev_num("len", (long)m->len);
        ev_end();
    }
    memcpy(me.fw.image + me.fw.got, m->payload, m->len);
    me.fw.got += m->len;
    if (block2 >= 0 && (block2 & 8) != 0) {
        q->block++;
        peer_req_send();
        return;
    }
    q->kind = K_NONE;
    fw_check_digest();
}

static void fw_reboot(void)
{
    peer_drop(false);
    res_set_text("10252/0/2", "1");
    res_set_text("10252/0/3", "-1");
    res_set_text(strcmp(me.fw.m.component, "METER") == 0 ? "14/1/2" : "14/0/2", me.fw.m.version);
    res_observers_clear();
    res_aobs_assign(1 + (unsigned)rand() % 900);
    me.fw.phase = 0;
    ev("rebooted");
    ev_str("version", me.fw.m.version);
    ev_end();
    if (peer_lw_open()) {
        peer_request(K_REGISTER);
    }
}

/* Each step waits for the acknowledgement of the one before. */
void peer_fw_run(void)
{
    const struct res *state = res_find("10252/0/2"), *result = res_find("10252/0/3");

    if (me.fw.phase == 3 && me.fw.again_ms != 0 && now_ms() >= me.fw.again_ms) {
        unsigned block = me.req.block;
        me.fw.again_ms = 0;
        if (me.req.kind == K_NONE && me.net.open) {
            me.req.kind = K_FW;
            me.req.block = block;
            me.req.body_len = 0;
            peer_req_send();
        }
        return;
    }
    if (me.fw.phase == 0 || me.fw.phase == 3 || peer_tx_busy(T_NOTIFY) || state->dirty ||
        result->dirty || !me.registered) {
        return;
    }
    switch (me.fw.phase) {
    case 1:
        me.fw.phase = 2;
        peer_fw_state("4");
        break;
    case 2:
        fw_download();
        break;
    case 4:
        me.fw.phase = 5;
        peer_fw_state("7");
        break;
    case 5:
        me.fw.phase = 6;
        peer_fw_state("8");
        break;
    case 6:
        fw_reboot();
        break;
    default:
        me.fw.phase = 0;
        peer_fw_state("1");
        break;
    }
}

void peer_fw_begin(void)
{
    if (strcmp(me.fw_how, "off") == 0 || me.fw.phase != 0) {
        return;
    }
    if (!manifest_read(me.fw.raw, me.fw.raw_len, &me.fw.m)) {
        fw_fail(22);
        return;
    }
    int result =
        manifest_check(&me.fw.m, me.vendor, me.class_id, me.has_signer ? &me.signer : NULL);
    if (result == 0 && me.fw.m.size > FW_MAX) {
        result = 33;
    }
    if (result != 0) {
        fw_fail(result);
        return;
    }
    me.fw.phase = 1;
    peer_fw_state("3");
}
