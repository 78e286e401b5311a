/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_client_coap.c
 * @brief Messages to a registered reference client, in datagrams or as a stream: whatever comes, it
 * goes on.
 *
 * Input: a byte of switches, then messages, each behind its u16 length (little endian).
 */
#include <stdlib.h>

#include "client/core/device.h"
#include "tests/unit/client/net_rig.h"

#define STREAM 1
#define BOOT   2
#define PELION 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct cl_client cl;
static struct cl_device dev;

static void run(uint64_t ms)
{
    uint64_t end = net.now_ms + ms;

    for (unsigned turns = 0; turns < 200 && net.now_ms < end; turns++) {
        net_deliver();
        uint64_t next = cl_step(&cl, net.now_ms), wire = net_next();
        next = wire < next ? wire : next;
        net.now_ms = next > end ? end : next > net.now_ms ? next : net.now_ms + 1;
    }
}

/* 2.01 with a location, with the token of the request. */
static void answer_register(const struct cl_call *call)
{
    struct cl_msg m;
    uint8_t buf[64];

    cl_msg_init(&m);
    m.type = CL_ACK;
    m.code = CL_CODE(2, 1);
    m.mid = call->mid;
    m.token_len = 4;
    memcpy(m.token, call->token, 4);
    m.location.count = 2;
    m.location.seg[0] = (struct cl_bytes){(const uint8_t *)"rd", 2};
    m.location.seg[1] = (struct cl_bytes){(const uint8_t *)"1", 1};
    size_t n =
        cl.coap.stream ? cl_frame_write(&m, buf, sizeof buf) : cl_msg_write(&m, buf, sizeof buf);
    net_to_client(buf, n);
    run(50);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct cl_config config = {.endpoint = "fuzz", .lifetime_s = 60};

    if (len == 0) {
        return 0;
    }
    uint8_t how = *data++;
    len--;
    net_reset();
    config.pelion = (how & PELION) != 0;
    if (cl_init(&cl, &config, NULL, NULL) != CL_OK || cl_device_init(&dev, &cl) != CL_OK) {
        abort();
    }
    struct cl_account *acc = &cl.accounts.account[(how & BOOT) != 0 ? CL_BOOTSTRAPPER : CL_SERVER];
    *acc = (struct cl_account){.there = true, .inst = 1, .mode = CL_MODE_NONE};
    strcpy(acc->uri, (how & STREAM) != 0 ? "coap+tcp://h:1" : "coap://h:1");
    cl.accounts.server.there = (how & BOOT) == 0;
    if (cl_start(&cl) != CL_OK) {
        abort();
    }
    run(50);
    if ((how & BOOT) == 0) { /* the answer to the registration: any message id, so apart */
        answer_register(&cl.call);
    }
    while (len >= 2) {
        size_t n = cl_get16(data);
        data += 2;
        len -= 2;
        n = n < len ? n : len;
        net_to_client(data, n);
        data += n;
        len -= n;
        run(20);
    }
    cl_changed(&cl, CL_ID_NONE, CL_ID_NONE, CL_ID_NONE);
    run(1000);
    cl_fini(&cl);
    return 0;
}
