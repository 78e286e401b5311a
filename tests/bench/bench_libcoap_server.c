/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/bench/bench_libcoap_server.c
 * @brief The smallest server on libcoap: POST /rd/x is answered 2.04. For comparison.
 *
 * Usage: bench_libcoap_server PORT SECONDS.
 */
#include <coap3/coap.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t requests;

static void changed(coap_resource_t *resource, coap_session_t *session, const coap_pdu_t *request,
                    const coap_string_t *query, coap_pdu_t *response)
{
    (void)resource;
    (void)session;
    (void)request;
    (void)query;
    requests++;
    coap_pdu_set_code(response, COAP_RESPONSE_CODE_CHANGED);
}

int main(int argc, char **argv)
{
    coap_address_t addr;

    if (argc != 3) {
        fprintf(stderr, "usage: %s PORT SECONDS\n", argv[0]);
        return 2;
    }
    time_t end = time(NULL) + strtol(argv[2], NULL, 10);
    coap_startup();
    coap_address_init(&addr);
    addr.addr.sin.sin_family = AF_INET;
    addr.addr.sin.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    addr.addr.sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    addr.size = sizeof(struct sockaddr_in);
    coap_context_t *ctx = coap_new_context(NULL);
    if (ctx == NULL || coap_new_endpoint(ctx, &addr, COAP_PROTO_UDP) == NULL) {
        fprintf(stderr, "cannot listen\n");
        return 1;
    }
    coap_resource_t *res = coap_resource_init(coap_make_str_const("rd/x"), 0);
    coap_register_handler(res, COAP_REQUEST_POST, changed);
    coap_add_resource(ctx, res);
    while (time(NULL) < end) {
        (void)coap_io_process(ctx, 1000);
    }
    printf("{\"bench\":\"libcoap_server\",\"requests\":%llu}\n", (unsigned long long)requests);
    coap_free_context(ctx);
    coap_cleanup();
    return 0;
}
