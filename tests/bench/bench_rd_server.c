/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine with an answer to registrations and nothing behind it: what remains is the cost of the
 * simulator.   bench_rd_server COAPS_PORT SECONDS, master key all zero; prints both ports.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/integ/sim/rd_server.h"

static struct rd_server server;
static struct loop *loop;

static void over(struct loop_timer *t)
{
    (void)t;
    loop_stop(loop);
}

int main(int argc, char **argv)
{
    static const uint8_t master[32];
    static struct loop_timer timer;

    if (argc != 3 || loop_new("rd", &loop) != DR_OK) {
        return 2;
    }
    server.secure.in4.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    rd_server_init(&server, loop, master);
    printf("coaps %u coap %u\n", ntohs(server.secure.in4.sin_port),
           ntohs(server.plain.in4.sin_port));
    fflush(stdout);
    loop_timer_start(loop, &timer, strtoul(argv[2], NULL, 10) * 1000, 0, over);
    loop_run(loop);
    rd_server_fini(&server);
    loop = loop_free(loop);
    return 0;
}
