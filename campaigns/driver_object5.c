/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices with the firmware object of LwM2M.
 *
 *   READ     GET /5/0, GET /3/0/3
 *   DELIVER  observe /5/0/3 and /5/0/5, then PUT /5/0/1 URI, or PUT /5/0/0 image where the device
 *            only takes pushes
 *   EXECUTE  POST /5/0/2
 *   RESET    PUT /5/0/1 "" (what has no URI forgets its package by it, too)
 */
#include <stdio.h>
#include <string.h>

#include "campaigns/driver.h"
#include "campaigns/values.h"
#include "lwm2m/path.h"

enum { RES_STATE = 3, RES_RESULT = 5, RES_VERSION = 7, RES_PROTOCOL = 8, RES_DELIVERY = 9 };

static unsigned scheme_of(const char *url)
{
    return strncmp(url, "coap://", 7) == 0    ? CAMP_COAP
           : strncmp(url, "coaps://", 8) == 0 ? CAMP_COAPS
           : strncmp(url, "http://", 7) == 0  ? CAMP_HTTP
           : strncmp(url, "https://", 8) == 0 ? CAMP_HTTPS
                                              : 0;
}

static const char *url_pick(const struct camp_content *c, unsigned schemes)
{
    for (unsigned i = 0; i < c->n_urls; i++) {
        if ((scheme_of(c->urls[i]) & schemes) != 0) {
            return c->urls[i];
        }
    }
    return NULL;
}

/* Where this device would fetch the image, NULL = it has to be pushed. */
static const char *pull_url(const struct camp_content *c, const struct camp_report *known)
{
    /* a device that says nothing pulls, over what it speaks with us */
    unsigned schemes = known->schemes != 0 ? known->schemes : CAMP_COAP | CAMP_COAPS;

    return known->pull || !known->push ? url_pick(c, schemes) : NULL;
}

static dr_err_t deliver(const struct camp_content *c, const struct camp_report *known,
                        struct camp_step *ret)
{
    const char *url = pull_url(c, known);

    ret->method = DEV_PUT;
    if (url != NULL) {
        ret->uri = "/5/0/1";
        ret->payload = dr_bytes_str(url);
        return DR_OK;
    }
    if (c->image == NULL || (known->pull && !known->push)) {
        return DR_ERR_UNSUPPORTED;
    }
    ret->uri = "/5/0/0";
    ret->body = c->image;
    return DR_OK;
}

static dr_err_t request(const struct camp_content *content, enum camp_op op, unsigned step,
                        const struct camp_report *known, struct camp_step *ret)
{
    *ret = (struct camp_step){.method = DEV_GET, .content_type = ""};
    switch (op) {
    case CAMP_OP_READ:
        if (step > 1) {
            return DR_ERR_NOT_FOUND;
        }
        ret->uri = step == 0 ? "/5/0" : "/3/0/3";
        ret->optional = step == 1;
        return DR_OK;
    case CAMP_OP_DELIVER:
        if (step < 2) {
            ret->observe = step == 0 ? "/5/0/3" : "/5/0/5";
            ret->optional = true;
            return DR_OK;
        }
        return step == 2 ? deliver(content, known, ret) : DR_ERR_NOT_FOUND;
    case CAMP_OP_EXECUTE:
        ret->method = DEV_POST;
        ret->uri = "/5/0/2";
        return step == 0 ? DR_OK : DR_ERR_NOT_FOUND;
    case CAMP_OP_RESET:
        ret->method = DEV_PUT;
        ret->uri = "/5/0/1";
        return step == 0 ? DR_OK : DR_ERR_NOT_FOUND;
    case CAMP_OP_NONE:
        break;
    }
    return DR_ERR_NOT_FOUND;
}

static void take_state(int64_t n, struct camp_report *r)
{
    static const uint8_t phases[] = {CAMP_AT_IDLE, CAMP_AT_DOWNLOADING, CAMP_AT_DOWNLOADED,
                                     CAMP_AT_INSTALLING};

    if (n >= 0 && n < (int64_t)sizeof phases) {
        r->at = (enum camp_phase_dev)phases[n];
        if (!r->has_result || r->result_ok) {
            (void)snprintf(r->code, sizeof r->code, "UPD1_STATE_%d", (int)n);
        }
    }
}

static void take_result(int64_t n, struct camp_report *r)
{
    static const uint8_t fails[] = {CAMP_FAIL_NONE,     CAMP_FAIL_NONE,      CAMP_FAIL_DEVICE,
                                    CAMP_FAIL_DEVICE,   CAMP_FAIL_TRANSIENT, CAMP_FAIL_REJECTED,
                                    CAMP_FAIL_REJECTED, CAMP_FAIL_REJECTED,  CAMP_FAIL_INSTALL,
                                    CAMP_FAIL_REJECTED, CAMP_FAIL_TRANSIENT, CAMP_FAIL_DEVICE};

    if (n < 1 || n > 99) {
        return;
    }
    r->has_result = true;
    r->result = (int32_t)n;
    r->result_ok = n == 1;
    r->fail = n < (int64_t)sizeof fails ? (enum camp_fail)fails[n] : CAMP_FAIL_INSTALL;
    (void)snprintf(r->code, sizeof r->code, "UPD1_%s_%d", n == 1 ? "OK" : "FAIL", (int)n);
}

/* The version of the package if the device shows it there, else that of the device. */
static void take_version(const struct camp_content *c, const char *text, struct camp_report *r)
{
    bool known = c->version[0] != '\0' && !c->version_is_time;
    bool same = known && strcmp(text, c->version) == 0;

    if (r->version[0] == '\0' || same) {
        (void)snprintf(r->version, sizeof r->version, "%.*s", CAMP_VERSION_MAX, text);
    }
    if (known) {
        r->has_target = true;
        r->at_target = r->at_target || same;
    }
}

static bool take(const struct camp_content *c, const struct lwm2m_node *n, struct camp_report *r)
{
    static const uint8_t schemes[] = {CAMP_COAP, CAMP_COAPS, CAMP_HTTP, CAMP_HTTPS};
    char text[80];
    int64_t v = 0;

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
    case RES_VERSION:
        /* while a package waits this is its version, not the one that runs */
        if (r->at == CAMP_AT_IDLE && camp_value_text(&n->value, text, sizeof text) &&
            text[0] != '\0') {
            take_version(c, text, r);
        }
        return true;
    case RES_PROTOCOL:
        if (camp_value_int(&n->value, &v) && v >= 0 && v < (int64_t)sizeof schemes) {
            r->schemes |= schemes[v];
        }
        return true;
    case RES_DELIVERY:
        if (camp_value_int(&n->value, &v)) {
            r->pull = v == 0 || v == 2;
            r->push = v == 1 || v == 2;
        }
        return true;
    default:
        return false;
    }
}

static bool value(const struct camp_content *content, const char *path, const char *ct,
                  struct dr_bytes payload, struct camp_report *report)
{
    static const uint8_t order[] = {RES_RESULT, RES_STATE, RES_VERSION, RES_PROTOCOL, RES_DELIVERY};
    struct lwm2m_nodes nodes;
    char text[80];
    bool any = false;

    if (strncmp(path, "/5/0", 4) != 0 && strcmp(path, "/3/0/3") != 0) {
        return false;
    }
    lwm2m_nodes_init(&nodes, CAMP_VALUES_MAX, 0);
    if (camp_values_decode(path, ct, payload, &nodes) == DR_OK) {
        for (size_t k = 0; k < sizeof order; k++) {
            for (size_t i = 0; i < nodes.count; i++) {
                const struct lwm2m_node *n = &nodes.items[i];
                bool mine = n->path.depth >= 3 && n->path.id[0] == 5 && n->path.id[1] == 0 &&
                            n->path.id[2] == order[k];
                any = (mine && take(content, n, report)) || any;
            }
        }
        if (strcmp(path, "/5/0") == 0 && report->at == CAMP_AT_DOWNLOADING &&
            pull_url(content, report) == NULL) {
            report->at = CAMP_AT_IDLE; /* a push that broke off: it waits for us, not we for it */
        }
        if (strcmp(path, "/3/0/3") == 0 && nodes.count == 1 &&
            camp_value_text(&nodes.items[0].value, text, sizeof text)) {
            take_version(content, text, report);
            any = true;
        }
    }
    lwm2m_nodes_fini(&nodes);
    return any;
}

static const char *result_text(int32_t result)
{
    static const char *const texts[] = {"",
                                        "Update successful",
                                        "There is not enough flash memory",
                                        "Out of memory during the download",
                                        "The connection was lost during the download",
                                        "The integrity check failed",
                                        "The type of the package is not supported",
                                        "The URI is not valid",
                                        "The update failed",
                                        "The protocol is not supported",
                                        "The update was cancelled",
                                        "The update was deferred"};

    return result >= 0 && result < (int32_t)(sizeof texts / sizeof texts[0])
               ? texts[result]
               : "The device refused or failed the update";
}

const struct camp_driver camp_driver_object5 = {
    .mech = CAMP_MECH_OBJECT5,
    .name = "lwm2m",
    .probe = "/5/0",
    .request = request,
    .value = value,
    .result_text = result_text,
};
