/* SPDX-License-Identifier: Apache-2.0 */
#include "client/ports/posix/firmware.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

#include "client/hal.h"
#include "client/ports/posix/http.h"

#define BUILT_IN  ((uint32_t)1 << 20) /* 1.0.0 */
#define FAULT_MAX 16

static struct {
    bool there, deaf;
    const struct options *options;
    const struct cl_layout *layout;
    struct cl_trust trust;
    struct cl_boot boot;
    uint32_t version;
    struct cl_update update;
    char text[CL_VERSION_MAX];
} firmware;

static bool bad_key(const char *file)
{
    fprintf(stderr, "drover-client: %s: not a P-256 public key or certificate\n", file);
    return false;
}

static bool point_of(const mbedtls_pk_context *pk, uint8_t ret[CL_PUB_LEN])
{
    size_t len = 0;

    if (!mbedtls_pk_can_do(pk, MBEDTLS_PK_ECKEY)) {
        return false;
    }
    mbedtls_ecp_keypair *key = mbedtls_pk_ec(*pk);
    return key->grp.id == MBEDTLS_ECP_DP_SECP256R1 &&
           mbedtls_ecp_point_write_binary(&key->grp, &key->Q, MBEDTLS_ECP_PF_UNCOMPRESSED, &len,
                                          ret, CL_PUB_LEN) == 0 &&
           len == CL_PUB_LEN;
}

/* A raw point, a certificate or a public key; PEM text needs its end byte counted. */
static bool key_parse(const uint8_t *in, size_t len, uint8_t ret[CL_PUB_LEN])
{
    mbedtls_x509_crt crt;
    mbedtls_pk_context pk;
    bool pem = memcmp(in, "-----", 5) == 0;

    if (len == CL_PUB_LEN && in[0] == 0x04) {
        memcpy(ret, in, CL_PUB_LEN);
        return true;
    }
    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&pk);
    len += pem ? 1 : 0;
    bool ok = mbedtls_x509_crt_parse(&crt, in, len) == 0
                  ? point_of(&crt.pk, ret)
                  : mbedtls_pk_parse_public_key(&pk, in, len) == 0 && point_of(&pk, ret);
    mbedtls_pk_free(&pk);
    mbedtls_x509_crt_free(&crt);
    return ok;
}

static bool key_load(const char *file)
{
    uint8_t buf[OPTIONS_FILE_MAX / 16 + 1] = {0};
    FILE *f = fopen(file, "rb");
    size_t len = f != NULL ? fread(buf, 1, sizeof buf - 1, f) : 0;

    if (f != NULL) {
        fclose(f);
    }
    return (len >= CL_PUB_LEN && key_parse(buf, len, firmware.trust.pub)) || bad_key(file);
}

static void say_what_runs(void)
{
    char line[80];

    cl_version_text(firmware.version, firmware.text);
    if (firmware.boot.slot == CL_SLOT_NONE) {
        snprintf(line, sizeof line, "runs %s, built in", firmware.text);
    } else {
        snprintf(line, sizeof line, "runs %s from slot %c%s", firmware.text,
                 'A' + firmware.boot.slot, firmware.boot.act == CL_BOOT_TRIAL ? ", on trial" : "");
    }
    hal_log(line);
}

/* What the image would do, had it been code. */
static void image_begin(void)
{
    char body[FAULT_MAX + 1] = "";
    uint32_t addr = (uint32_t)firmware.boot.slot * firmware.layout->slot_size + CL_HEADER_LEN;

    if (firmware.boot.slot == CL_SLOT_NONE || !hal_flash_read(addr, body, FAULT_MAX)) {
        return;
    }
    if (strncmp(body, "#fault:crash", 12) == 0) {
        hal_log("the image crashes");
        usleep(50000); /* a board takes its time, too */
        hal_reset();
    }
    firmware.deaf = strncmp(body, "#fault:deaf", 11) == 0;
}

bool firmware_boot(const struct options *options, const struct cl_layout *layout)
{
    struct cl_slot_state slot;

    firmware.options = options;
    firmware.layout = layout;
    firmware.version = BUILT_IN;
    firmware.boot.slot = CL_SLOT_NONE;
    firmware.trust.verify = cl_verify_psa;
    if (options->update_key_file == NULL) {
        return true;
    }
    if (!key_load(options->update_key_file)) {
        return false;
    }
    if (psa_crypto_init() != PSA_SUCCESS ||
        cl_boot(layout, &firmware.trust, &firmware.boot) != CL_OK) {
        fprintf(stderr, "drover-client: the flash cannot be used\n");
        return false;
    }
    firmware.there = true;
    if (firmware.boot.slot != CL_SLOT_NONE) {
        cl_slot_read(layout, &firmware.trust, firmware.boot.slot, &slot);
        firmware.version = slot.header.version;
    }
    say_what_runs();
    image_begin();
    return true;
}

bool firmware_is_deaf(void)
{
    return firmware.deaf;
}

void firmware_wait(void)
{
    hal_log("the image never contacts the server");
    sleep(firmware.options->trial_s);
    hal_reset();
}

static enum cl_fw_answer on_ask(void *ctx, enum cl_fw_ask what, uint32_t version, uint32_t priority)
{
    char line[96], text[CL_VERSION_MAX];

    (void)ctx;
    cl_version_text(version, text);
    snprintf(line, sizeof line, "accept or refuse: %s %s, priority %u?",
             what == CL_FW_DOWNLOAD ? "download" : "install", text, (unsigned)priority);
    hal_log(line);
    return CL_FW_LATER;
}

bool firmware_answer(bool yes)
{
    return firmware.there && (cl_fw_authorise(&firmware.update.fw, CL_FW_DOWNLOAD, yes) == CL_OK ||
                              cl_fw_authorise(&firmware.update.fw, CL_FW_INSTALL, yes) == CL_OK);
}

cl_err_t firmware_start(struct cl_client *client, struct cl_kvs *store)
{
    struct cl_fw_config config = {.lay = firmware.layout,
                                  .trust = &firmware.trust,
                                  .kvs = store,
                                  .boot = firmware.boot,
                                  .built_in = BUILT_IN,
                                  .trial_ms = firmware.options->trial_s * 1000};

    if (!firmware.there) {
        return CL_OK;
    }
    memcpy(config.vendor, firmware.options->vendor, CL_UUID_LEN);
    memcpy(config.class_id, firmware.options->class_id, CL_UUID_LEN);
    cl_err_t err = cl_update_init(&firmware.update, client, &config,
                                  firmware.options->http ? http_fetcher(&firmware.update) : NULL);
    if (err == CL_OK && firmware.options->ask) {
        cl_update_on_ask(&firmware.update, on_ask);
    }
    return err;
}

void firmware_state(enum cl_state state)
{
    if (firmware.there) {
        cl_update_state(&firmware.update, state);
    }
}

const char *firmware_version(void)
{
    cl_version_text(firmware.there ? cl_fw_version(&firmware.update.fw) : firmware.version,
                    firmware.text);
    return firmware.text;
}

/* A line for each step of an update. */
static void say_changes(void)
{
    static const char *const names[] = {[CL_FW_ASK_DOWNLOAD] = "may it be downloaded?",
                                        [CL_FW_DOWNLOADING] = "downloading",
                                        [CL_FW_ASK_INSTALL] = "downloaded",
                                        [CL_FW_INSTALLING] = "installing",
                                        [CL_FW_REBOOTING] = "restarting"};
    static uint8_t shown = CL_FW_IDLE;
    const struct cl_fw_saved *s = &firmware.update.fw.saved;
    char line[80];

    if (s->state == shown || firmware.update.fw.trial) {
        return;
    }
    shown = s->state;
    if (shown < sizeof names / sizeof names[0] && names[shown] != NULL) {
        snprintf(line, sizeof line, "update: %s", names[shown]);
        hal_log(line);
    } else if (shown == CL_FW_IDLE && s->result != CL_RESULT_OK) {
        snprintf(line, sizeof line, "update: failed, result %u", s->result);
        hal_log(line);
    }
}

uint64_t firmware_poll(uint64_t now_ms)
{
    if (firmware.there) {
        say_changes();
    }
    return firmware.there ? http_poll(now_ms) : CL_NEVER;
}
