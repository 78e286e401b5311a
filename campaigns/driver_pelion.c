/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices with object 10252 (and 14 for the versions of their components).
 *
 *   READ     GET /10252/0, GET /14
 *   DELIVER  POST /10252/0/1 manifest, as text/plain: other formats get no answer at all
 *
 * State (10252/0/2) and result (10252/0/3) come by themselves as notifications. Success is never
 * reported: it is the version (14/n/2), hash (10252/0/5) or timestamp (10252/0/6) that the device
 * shows after it has registered again.
 */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "campaigns/driver.h"
#include "campaigns/values.h"
#include "lwm2m/path.h"

enum { OBJ_UPDATE = 10252, OBJ_COMPONENT = 14 };
enum { RES_STATE = 2, RES_RESULT = 3, RES_HASH = 5, RES_VERSION = 6 };

static dr_err_t request(const struct camp_content *content, enum camp_op op, unsigned step,
                        const struct camp_report *known, struct camp_step *ret)
{
    (void)known;
    *ret = (struct camp_step){.method = DEV_GET, .content_type = ""};
    switch (op) {
    case CAMP_OP_READ:
        if (step > 1) {
            return DR_ERR_NOT_FOUND;
        }
        ret->uri = step == 0 ? "/10252/0" : "/14";
        ret->optional = step == 1;
        return DR_OK;
    case CAMP_OP_DELIVER:
        if (step > 0) {
            return DR_ERR_NOT_FOUND;
        }
        if (content->raw.len == 0) {
            return DR_ERR_UNSUPPORTED;
        }
        ret->method = DEV_POST;
        ret->uri = "/10252/0/1";
        ret->content_type = "text/plain";
        ret->payload = content->raw;
        return DR_OK;
    case CAMP_OP_NONE:
    case CAMP_OP_EXECUTE:
    case CAMP_OP_RESET:
        break;
    }
    return step == 0 ? DR_ERR_UNSUPPORTED : DR_ERR_NOT_FOUND;
}

static void take_state(int64_t n, struct camp_report *r)
{
    static const uint8_t phases[] = {CAMP_AT_IDLE,         CAMP_AT_IDLE,        CAMP_AT_CHECKING,
                                     CAMP_AT_ASK_DOWNLOAD, CAMP_AT_DOWNLOADING, CAMP_AT_DOWNLOADING,
                                     CAMP_AT_ASK_INSTALL,  CAMP_AT_INSTALLING,  CAMP_AT_REBOOTING};

    if (n >= 0 && n < (int64_t)sizeof phases) {
        r->at = (enum camp_phase_dev)phases[n];
        if (!r->has_result || r->result_ok) {
            (void)snprintf(r->code, sizeof r->code, "UPD2_STATE_%d", (int)n);
        }
    }
}

static enum camp_fail fail_of(int64_t n)
{
    switch (n) {
    case 3: /* of the first numbering */
    case 4:
    case 11:
    case 15:
    case 24:
    case 26:
    case 45:
    case 101:
    case 201:
    case 202:
    case 203:
    case 204:
    case 205:
        return CAMP_FAIL_TRANSIENT;
    case 33:
    case 34:
    case 35:
    case 36:
    case 37:
    case 38:
    case 225:
    case 226:
    case 315:
    case 511:
        return CAMP_FAIL_DEVICE;
    case 40:
    case 41:
    case 505:
        return CAMP_FAIL_INSTALL;
    default:
        break;
    }
    if (n >= 300 && n <= 306) {
        return CAMP_FAIL_TRANSIENT;
    }
    return n >= 400 ? CAMP_FAIL_INSTALL : CAMP_FAIL_REJECTED;
}

static void take_result(int64_t n, struct camp_report *r)
{
    if (n == -1 || n == 255 || n == 0) {
        return; /* none */
    }
    n = n < 0 && n > -1000 ? -n : n;
    if (n < 1 || n > 9999) {
        return;
    }
    r->has_result = true;
    r->result = (int32_t)n;
    r->result_ok = n == 1 || n == 18 || n == 19 || n == 100;
    r->fail = r->result_ok ? CAMP_FAIL_NONE : fail_of(n);
    (void)snprintf(r->code, sizeof r->code, "UPD%c_%s_%d", n >= 100 ? '4' : '2',
                   r->result_ok ? "OK" : "FAIL", (int)n);
}

static void take_version(const struct camp_content *c, const char *version, struct camp_report *r)
{
    (void)snprintf(r->version, sizeof r->version, "%.*s", CAMP_VERSION_MAX, version);
    if (c->version[0] != '\0') {
        r->has_target = true;
        r->at_target = strcmp(version, c->version) == 0;
    }
}

static void take_hash(const struct camp_content *c, const char *hash, struct camp_report *r)
{
    char want[65];

    if (!c->has_digest || strlen(hash) != 64 || r->at_target) {
        return;
    }
    for (size_t i = 0; i < sizeof c->digest; i++) {
        (void)snprintf(want + 2 * i, 3, "%02x", c->digest[i]);
    }
    r->has_target = true;
    r->at_target = strcasecmp(hash, want) == 0;
}

static bool take_update(const struct camp_content *c, const struct lwm2m_node *n,
                        struct camp_report *r)
{
    char text[80];
    int64_t v;

    switch (n->path.id[2]) {
    case RES_STATE:
        if (camp_value_int(&n->value, &v)) {
            take_state(v, r);
        }
        return true;
    case RES_RESULT:
        if (camp_value_int(&n->value, &v)) {
            take_result(v, r);
        }
        return true;
    case RES_HASH:
        if (camp_value_text(&n->value, text, sizeof text)) {
            take_hash(c, text, r);
        }
        return true;
    case RES_VERSION:
        if (r->version[0] == '\0' && camp_value_int(&n->value, &v) && v > 0) {
            (void)snprintf(text, sizeof text, "%lld", (long long)v);
            take_version(c, text, r);
        }
        return true;
    default:
        return false;
    }
}

/* The instance of the campaign's component: 14/n/0 is its name, 14/n/2 its version. */
static void take_components(const struct camp_content *c, const struct lwm2m_nodes *nodes,
                            struct camp_report *r)
{
    char text[80];
    const char *want = c->component[0] == '\0' ? "MAIN" : c->component;
    int instance = strcmp(want, "MAIN") == 0 ? 0 : -1;

    for (size_t i = 0; i < nodes->count; i++) {
        const struct lwm2m_node *n = &nodes->items[i];
        if (n->path.depth >= 3 && n->path.id[0] == OBJ_COMPONENT && n->path.id[2] == 0 &&
            camp_value_text(&n->value, text, sizeof text) && strcmp(text, want) == 0) {
            instance = n->path.id[1];
        }
    }
    for (size_t i = 0; i < nodes->count; i++) {
        const struct lwm2m_node *n = &nodes->items[i];
        if (n->path.depth >= 3 && n->path.id[0] == OBJ_COMPONENT && n->path.id[1] == instance &&
            n->path.id[2] == 2 && camp_value_text(&n->value, text, sizeof text)) {
            take_version(c, text, r);
        }
    }
}

static bool value(const struct camp_content *content, const char *path, const char *ct,
                  struct dr_bytes payload, struct camp_report *report)
{
    struct lwm2m_nodes nodes;
    bool any = false;

    if (strncmp(path, "/10252/0", 8) != 0 && strncmp(path, "/14", 3) != 0) {
        return false;
    }
    lwm2m_nodes_init(&nodes, CAMP_VALUES_MAX, 0);
    if (camp_values_decode(path, ct, payload, &nodes) == DR_OK) {
        /* the result first: its code outranks that of the state */
        for (size_t pass = 0; pass < 2; pass++) {
            for (size_t i = 0; i < nodes.count; i++) {
                const struct lwm2m_node *n = &nodes.items[i];
                bool mine = n->path.depth == 3 && n->path.id[0] == OBJ_UPDATE &&
                            n->path.id[1] == 0 && (n->path.id[2] == RES_RESULT) == (pass == 0);
                any = (mine && take_update(content, n, report)) || any;
            }
        }
        if (strncmp(path, "/14", 3) == 0) {
            take_components(content, &nodes, report);
            any = any || report->version[0] != '\0';
        }
    }
    lwm2m_nodes_fini(&nodes);
    return any;
}

static const char *result_text(int32_t result)
{
    static const struct {
        int32_t n;
        const char *text;
    } texts[] = {
        {3, "The URI is not valid"},
        {4, "The integrity check failed"},
        {6, "The certificate was not found"},
        {7, "The signature is not valid"},
        {11, "The connection was lost"},
        {12, "The integrity check of the image failed"},
        {13, "The type of the image is not supported"},
        {14, "The URI of the image is not valid"},
        {15, "The download took too long"},
        {21, "The URI is not valid"},
        {22, "The manifest is malformed"},
        {23, "The signature of the manifest is not valid"},
        {24, "The download failed"},
        {25, "The format of the payload is not supported"},
        {26, "The payload is corrupted"},
        {27, "The version is not newer"},
        {28, "The schema of the manifest is not supported"},
        {29, "The vendor data is too large"},
        {30, "The manifest is for another vendor"},
        {31, "The manifest is for another class"},
        {32, "The installed version is not the one that the delta is for"},
        {33, "There is not enough room in storage"},
        {34, "There is not enough memory"},
        {35, "Writing to storage failed"},
        {36, "Reading from storage failed"},
        {37, "The installation was not authorised"},
        {38, "The download was not authorised"},
        {39, "The component is not known"},
        {40, "The installation failed"},
        {41, "Internal error of the device"},
        {42, "The delta could not be applied"},
        {43, "Cryptographic failure"},
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].n == result) {
            return texts[i].text;
        }
    }
    return "The device refused or failed the update";
}

const struct camp_driver camp_driver_pelion = {
    .mech = CAMP_MECH_PELION,
    .name = "pelion",
    .probe = "/10252/0",
    .request = request,
    .value = value,
    .result_text = result_text,
};
