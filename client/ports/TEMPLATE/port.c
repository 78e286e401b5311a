/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a board must supply: copy this folder, fill in every function. As it stands it compiles, is
 * linked by the tests, and does nothing. client/hal.h has the contracts; here is what goes wrong on
 * real hardware.
 *
 * Also needed:
 *  - Mbed TLS 2.28 with MBEDTLS_SSL_PROTO_DTLS, PSK and ECDHE-ECDSA with AES-128-CCM-8, X.509
 *    parsing and (for enrolment) X509_CSR_WRITE; MBEDTLS_MEMORY_BUFFER_ALLOC_C over a fixed array
 *    where there is no heap: 5 KiB for PSK, 16 KiB for certificates is where to begin measuring.
 *  - a main() like the end of this file: boot decision, store, client, loop.
 */
#include "client/ports/TEMPLATE/port.h"

#include "client/core/boot.h"
#include "client/core/device.h"
#include "client/core/its.h"
#include "client/hal.h"

/* ---- flash ---- */

void hal_flash_geometry(struct hal_flash *ret)
{
    /* The part that is ours: two slots and two store areas. On a part with several sector sizes
     * state the largest one in that range: erasing more than was asked for loses data. */
    *ret = (struct hal_flash){.size = 0, .sector = 4096};
}

bool hal_flash_read(uint32_t addr, void *buf, size_t len)
{
    /* On parts with ECC a unit whose programming was cut may fault when it is read: catch the
     * fault and fill in 0x00. The store and the boot decision treat such bytes as torn. */
    (void)addr;
    (void)buf;
    (void)len;
    return false;
}

bool hal_flash_program(uint32_t addr, const void *buf, size_t len)
{
    /* Units of HAL_FLASH_UNIT bytes. A part with larger ones (16, 32) needs HAL_FLASH_UNIT changed,
     * not a read-modify-write here: a second programming of one unit is what breaks ECC. Return
     * only when the part says it is done; a write buffer that is still draining is not. */
    (void)addr;
    (void)buf;
    (void)len;
    return false;
}

bool hal_flash_erase(uint32_t addr)
{
    /* May take 20 to 400 ms: code that must run meanwhile has to be in RAM or in another bank. */
    (void)addr;
    return false;
}

/* ---- security counter ---- */

uint32_t hal_counter_get(void)
{
    /* OTP bits or a replay-protected counter. 0 where there is none: then the confirmed image is
     * the floor. */
    return 0;
}

void hal_counter_raise(uint32_t value)
{
    (void)value;
}

/* ---- time, randomness, reset ---- */

uint64_t hal_time_ms(void)
{
    /* 64 bits from a 32-bit timer: extend it where interrupts are off, or the two halves tear. It
     * has to go on in sleep, or registrations expire. */
    return 0;
}

void hal_random(void *buf, size_t len)
{
    /* From a hardware source whose health test passed. Stop when it fails: keys, tokens and DTLS
     * need it, and nothing here can tell bad bytes from good ones. */
    (void)buf;
    (void)len;
    template_stop();
}

void hal_reset(void)
{
    /* The reset of the whole chip, after the last output has left the wire. */
    template_stop();
}

int64_t hal_wall_time(void)
{
    /* Unix time of a clock that runs in power-down, or 0. With 0 the validity of certificates is
     * not looked at by a build of Mbed TLS without MBEDTLS_HAVE_TIME_DATE. */
    return 0;
}

void hal_wall_time_set(int64_t unix_s)
{
    (void)unix_s;
}

/* ---- network ---- */

bool hal_net_open(enum hal_net kind, const char *host, uint16_t port)
{
    /* Resolve the name here. A new local port each time is right: servers tell associations apart
     * by it. */
    (void)kind;
    (void)host;
    (void)port;
    return false;
}

void hal_net_close(void)
{
}

int hal_net_send(const void *buf, size_t len)
{
    /* Never wait. A datagram that the driver has no room for is lost: say that it was taken. */
    (void)buf;
    (void)len;
    return -1;
}

int hal_net_recv(void *buf, size_t cap)
{
    /* The receive interrupt puts datagrams into a queue of at least four: a server may send its
     * whole flight at once. A datagram longer than @p cap is cut. */
    (void)buf;
    (void)cap;
    return -1;
}

void hal_idle(uint32_t ms)
{
    /* Sleep (wfi) until the timer or the receive interrupt. An interrupt between the look into the
     * queue and the sleep must not be lost: look with interrupts off, then wfi. */
    (void)ms;
    template_stop();
}

void hal_net_address(char *buf, size_t cap)
{
    if (cap > 0) {
        buf[0] = '\0';
    }
}

/* ---- the rest ---- */

int32_t hal_temperature_milli(void)
{
    return 0;
}

void hal_log(const char *line)
{
    (void)line;
}

/* ---- the program ---- */

static struct cl_client client;
static struct cl_device device;
static struct cl_layout layout;
static struct cl_kvs store;

cl_err_t template_main(const struct cl_account *account, const char *endpoint)
{
    static const struct cl_config config = {.endpoint = "", .lifetime_s = 86400};

    /* The boot program has called cl_boot() and jumped here; see client/core/boot.h. */
    cl_err_t err = cl_layout_init(TEMPLATE_SLOT_SIZE, &layout);
    if (err == CL_OK) {
        err = cl_kvs_open(&store, layout.store_base, layout.store_area);
    }
    if (err != CL_OK) {
        return err;
    }
    cl_its_mount(&store);
    err = cl_init(&client, &config, NULL, &store);
    if (err == CL_OK) {
        /* texts stay borrowed: constants, or read once from where the factory wrote them */
        device.manufacturer = "maker";
        device.firmware = "1.0.0";
        err = cl_device_init(&device, &client);
    }
    if (err != CL_OK || strlen(endpoint) > CL_ENDPOINT_MAX) {
        return err != CL_OK ? err : CL_ERR_SPACE;
    }
    memcpy(client.config.endpoint, endpoint, strlen(endpoint) + 1);
    client.accounts.account[CL_BOOTSTRAPPER] = *account;
    err = cl_start(&client);
    while (err == CL_OK && client.state != CL_STOPPED) {
        uint64_t now_ms = hal_time_ms(), next_ms = cl_step(&client, now_ms);
        cl_device_measure(&device);
        if (next_ms > now_ms) {
            hal_idle(next_ms - now_ms < UINT32_MAX ? (uint32_t)(next_ms - now_ms) : UINT32_MAX);
        }
    }
    return err;
}
