/* SPDX-License-Identifier: Apache-2.0 */
#include "device-sim/object.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "lwm2m/codec.h"
#include "lwm2m/path.h"
#include "lwm2m/value.h"

#define NODES_MAX_    32
#define PATH_TEXT_MAX 128

enum access { READ = 1, WRITE = 2, EXECUTE = 4 };

/* One row a resource; in ascending order, as TLV wants it. Rows of updates only for devices that
 * have that object. */
static const struct row {
    uint16_t path[3];
    uint8_t access;
    uint8_t update; /* enum sim_update_object */
} rows[] = {
    {{1, 0, 0}, READ, 0},
    {{1, 0, 1}, READ | WRITE, 0},
    {{1, 0, 6}, READ, 0},
    {{1, 0, 7}, READ, 0},
    {{1, 0, 8}, EXECUTE, 0},
    {{3, 0, 0}, READ, 0},
    {{3, 0, 1}, READ, 0},
    {{3, 0, 2}, READ, 0},
    {{3, 0, 3}, READ, 0},
    {{3, 0, 4}, EXECUTE, 0},
    {{3, 0, 13}, READ, 0},
    {{3, 0, 16}, READ, 0},
    {{5, 0, 0}, WRITE, SIM_UPDATE_OBJECT5},
    {{5, 0, 1}, WRITE, SIM_UPDATE_OBJECT5},
    {{5, 0, 2}, EXECUTE, SIM_UPDATE_OBJECT5},
    {{5, 0, 3}, READ, SIM_UPDATE_OBJECT5},
    {{5, 0, 5}, READ, SIM_UPDATE_OBJECT5},
    {{5, 0, 7}, READ, SIM_UPDATE_OBJECT5},
    {{5, 0, 8}, READ, SIM_UPDATE_OBJECT5},
    {{5, 0, 9}, READ, SIM_UPDATE_OBJECT5},
    {{14, 0, 0}, READ, SIM_UPDATE_PELION},
    {{14, 0, 2}, READ, SIM_UPDATE_PELION},
    {{3303, 0, 5601}, READ, 0},
    {{3303, 0, 5602}, READ, 0},
    {{3303, 0, 5605}, EXECUTE, 0},
    {{3303, 0, 5700}, READ, 0},
    {{3303, 0, 5701}, READ, 0},
    {{10252, 0, 1}, EXECUTE, SIM_UPDATE_PELION},
    {{10252, 0, 2}, READ, SIM_UPDATE_PELION},
    {{10252, 0, 3}, READ, SIM_UPDATE_PELION},
    {{10255, 0, 0}, READ, SIM_UPDATE_PELION},
    {{10255, 0, 3}, READ, SIM_UPDATE_PELION},
    {{10255, 0, 4}, READ, SIM_UPDATE_PELION},
};

static const char *version_of(const struct sim_values *v)
{
    return v->version != NULL ? v->version : SIM_VERSION;
}

static enum sim_update_object update_of(const struct sim_values *v)
{
    return v->model != NULL ? v->model->update : SIM_UPDATE_NONE;
}

static bool has_row(const struct sim_values *v, const struct row *row)
{
    bool ids =
        row->path[0] != 10255 || row->path[2] == 0 || (v->model != NULL && v->model->has_ids);

    return row->update == SIM_UPDATE_NONE || (row->update == update_of(v) && ids);
}

static void put_ids(const struct sim_model *model, struct dr_wr *wr)
{
    const uint8_t *const ids[] = {model->vendor, model->class_id};
    char text[DR_BASE64_LEN(16) + 1], link[80];

    for (unsigned i = 0; model->has_ids && i < 2; i++) {
        (void)dr_base64_encode(ids[i], 16, text);
        int n = snprintf(link, sizeof link, ",</10255/0/%u>;v=\"%s\";aobs=\"%u\"", 3 + i, text,
                         SIM_AOBS_RESULT + 2 + i);
        dr_wr_put(wr, link, (size_t)n);
    }
}

size_t sim_links(const struct sim_values *v, char *buf, size_t cap)
{
    struct dr_wr wr = dr_wr_of((uint8_t *)buf, cap);
    char update[320];
    int n = snprintf(update, sizeof update,
                     "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542\",</1/0>,</3/0>,</3303/0>%s",
                     update_of(v) == SIM_UPDATE_OBJECT5 ? ",</5/0>" : "");

    dr_wr_put(&wr, update, (size_t)n);
    if (update_of(v) == SIM_UPDATE_PELION) {
        n = snprintf(update, sizeof update,
                     ",</10252/0/1>,</10252/0/2>;v=\"%u\";aobs=\"%d\",</10252/0/3>;v=\"%d\";"
                     "aobs=\"%d\",</10255/0/0>;v=\"4\",</14/0/0>;v=\"MAIN\",</14/0/2>;v=\"%s\"",
                     v->update_state, SIM_AOBS_STATE, v->update_result, SIM_AOBS_RESULT,
                     version_of(v));
        dr_wr_put(&wr, update, (size_t)n);
        put_ids(v->model, &wr);
    }
    dr_assert(dr_wr_ok(&wr));
    return dr_wr_len(&wr);
}

static struct lwm2m_value text_value(const char *text)
{
    return lwm2m_value_str(text, strlen(text));
}

void sim_name_text(const struct sim_name *name, char *buf)
{
    (void)snprintf(buf, SIM_NAME_MAX, "%s%u", name->prefix, name->number);
}

/* Its text may lie in @p buf. */
static struct lwm2m_value value_of(const struct sim_values *v, const struct sim_name *name,
                                   const uint16_t *p, char buf[SIM_NAME_MAX])
{
    uint32_t key = (uint32_t)p[0] << 16 | p[2];

    switch (key) {
    case 1U << 16 | 0:
        return lwm2m_value_int(1);
    case 1U << 16 | 1:
        return lwm2m_value_int(v->lifetime_s);
    case 1U << 16 | 6:
        return lwm2m_value_bool(false);
    case 1U << 16 | 7:
    case 3U << 16 | 16:
        return text_value("U");
    case 3U << 16 | 0:
        return text_value("Drover");
    case 3U << 16 | 1:
        return text_value("simulated device");
    case 3U << 16 | 2:
        sim_name_text(name, buf);
        return text_value(buf);
    case 3U << 16 | 3:
    case 5U << 16 | 7:
    case 14U << 16 | 2:
        return text_value(version_of(v));
    case 5U << 16 | 3:
    case 10252U << 16 | 2:
        return lwm2m_value_int(v->update_state);
    case 5U << 16 | 5:
        return lwm2m_value_int(v->update_result == SIM_NO_RESULT ? 0 : v->update_result);
    case 5U << 16 | 8:
        return lwm2m_value_int(p[3]); /* CoAP, CoAPS */
    case 5U << 16 | 9:
        return lwm2m_value_int(v->model->push ? 1 : 2); /* push only, or pull too */
    case 14U << 16 | 0:
        return text_value("MAIN");
    case 10252U << 16 | 3:
        return lwm2m_value_int(v->update_result);
    case 10255U << 16 | 0:
        return lwm2m_value_int(4);
    case 10255U << 16 | 3:
        return lwm2m_value_opaque(v->model->vendor, sizeof v->model->vendor);
    case 10255U << 16 | 4:
        return lwm2m_value_opaque(v->model->class_id, sizeof v->model->class_id);
    case 3U << 16 | 13:
        return lwm2m_value_time((int64_t)dr_wall_ms() / 1000);
    case 3303U << 16 | 5601:
        return lwm2m_value_float((double)v->low);
    case 3303U << 16 | 5602:
        return lwm2m_value_float((double)v->high);
    case 3303U << 16 | 5700:
        return lwm2m_value_float((double)v->temperature);
    case 3303U << 16 | 5701:
        return text_value("Cel");
    default:
        return lwm2m_value_none();
    }
}

static bool covers(const struct sim_values *v, const uint16_t *path, uint8_t depth,
                   const struct row *row)
{
    if (!has_row(v, row)) {
        return false;
    }
    for (unsigned i = 0; i < depth; i++) {
        if (i > 2 || path[i] != row->path[i]) {
            return false;
        }
    }
    return true;
}

static bool known(const struct sim_values *v, const uint16_t *path, uint8_t depth)
{
    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        if (covers(v, path, depth, &rows[i])) {
            return true;
        }
    }
    return false;
}

static void refuse(struct sim_answer *ret, uint8_t code)
{
    ret->code = code;
    ret->content_format = -1;
    ret->len = 0;
    ret->effect = SIM_NOTHING;
}

void sim_value(const struct sim_values *v, const struct sim_name *name, const uint16_t *path,
               uint8_t depth, int32_t content_format, struct sim_answer *ret)
{
    struct lwm2m_node nodes[NODES_MAX_];
    char serial[SIM_NAME_MAX];
    size_t count = 0;
    struct lwm2m_path base = {.depth = depth};

    memcpy(base.id, path, depth * sizeof base.id[0]);
    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        const uint16_t *p = rows[i].path;
        if (!covers(v, path, depth, &rows[i]) || (rows[i].access & READ) == 0) {
            continue;
        }
        bool multiple = p[0] == 5 && p[2] == 8;
        for (uint16_t k = 0, n = multiple ? 2 : 1; k < n; k++) {
            const uint16_t q[] = {p[0], p[1], p[2], k};
            nodes[count] = (struct lwm2m_node){.path = LWM2M_PATH(q[0], q[1], q[2], q[3]),
                                               .value = value_of(v, name, q, serial)};
            nodes[count++].path.depth = multiple ? 4 : 3;
        }
    }
    if (count == 0) {
        refuse(ret, known(v, path, depth) ? CX_NOT_ALLOWED : CX_NOT_FOUND);
        return;
    }
    if (content_format < 0) {
        content_format = depth == 3 && count == 1 ? LWM2M_CT_TEXT : LWM2M_CT_SENML_CBOR;
    }
    struct dr_wr wr = dr_wr_of(ret->payload, sizeof ret->payload);
    dr_err_t err = lwm2m_encode((uint16_t)content_format, &base, nodes, count, &wr);
    if (err != DR_OK) {
        refuse(ret, err == DR_ERR_NOSPACE ? CX_SERVER_ERROR : CX_NOT_ACCEPTABLE);
        return;
    }
    ret->code = CX_CONTENT;
    ret->content_format = content_format;
    ret->len = dr_wr_len(&wr);
}

static void discover(const struct sim_values *v, const uint16_t *path, uint8_t depth,
                     struct sim_answer *ret)
{
    struct dr_wr wr = dr_wr_of(ret->payload, sizeof ret->payload);
    bool first = true;

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        if (covers(v, path, depth, &rows[i])) {
            char link[40];
            int n = snprintf(link, sizeof link, "%s</%u/%u/%u>", first ? "" : ",", rows[i].path[0],
                             rows[i].path[1], rows[i].path[2]);
            dr_wr_put(&wr, link, (size_t)n);
            first = false;
        }
    }
    if (first || !dr_wr_ok(&wr)) {
        refuse(ret, first ? CX_NOT_FOUND : CX_SERVER_ERROR);
        return;
    }
    ret->code = CX_CONTENT;
    ret->content_format = LWM2M_CT_LINK;
    ret->len = dr_wr_len(&wr);
}

struct write_sink {
    struct sim_values *v;
    bool done;
};

static dr_err_t take_node(void *arg, const struct lwm2m_node *node)
{
    struct write_sink *s = arg;
    struct lwm2m_value number;

    if (node->path.depth != 3 || node->path.id[0] != 1 || node->path.id[2] != 1) {
        return DR_ERR_DENIED;
    }
    dr_err_t err = lwm2m_value_coerce(&node->value, LWM2M_TYPE_INT, &number);
    if (err != DR_OK) {
        /* without a model text comes as a string */
        uint8_t scratch[32];
        if (node->value.type != LWM2M_TYPE_STRING || node->value.bytes.len >= sizeof scratch) {
            return DR_ERR_INVAL;
        }
        err = lwm2m_value_from_text(LWM2M_TYPE_INT, (const char *)node->value.bytes.ptr,
                                    node->value.bytes.len, scratch, sizeof scratch, &number);
    }
    if (err != DR_OK || number.i < 1 || number.i > 0x7fffffff) {
        return DR_ERR_RANGE;
    }
    s->v->lifetime_s = (uint32_t)number.i;
    s->done = true;
    return DR_OK;
}

static void write_resource(struct sim_values *v, const struct cx_pdu *request,
                           struct sim_answer *ret)
{
    static struct lwm2m_models *models; /* one fleet, one thread */
    struct write_sink sink = {.v = v};

    if (models == NULL && lwm2m_models_new(&models) != DR_OK) {
        refuse(ret, CX_SERVER_ERROR);
        return;
    }
    const struct lwm2m_schema schema = {.models = models, .enabler = LWM2M_VERSION(1, 1)};
    struct lwm2m_decode_opts opts = {.schema = &schema, .base = {.depth = ret->depth}};
    memcpy(opts.base.id, ret->path, ret->depth * sizeof opts.base.id[0]);
    uint16_t ct = request->content_format < 0 ? LWM2M_CT_NONE : (uint16_t)request->content_format;
    dr_err_t err = lwm2m_decode(ct, &opts, request->payload, request->payload_len,
                                (struct lwm2m_sink){.fn = take_node, .arg = &sink});
    if (err == DR_ERR_DENIED) {
        refuse(ret, CX_NOT_ALLOWED);
    } else if (err == DR_ERR_UNSUPPORTED) {
        refuse(ret, CX_UNSUPPORTED_FORMAT);
    } else if (err != DR_OK || !sink.done) {
        refuse(ret, CX_BAD_REQUEST);
    } else {
        refuse(ret, CX_CHANGED);
        ret->effect = SIM_UPDATE;
    }
}

static uint8_t access_of(const struct sim_values *v, const uint16_t *path, uint8_t depth)
{
    uint8_t access = 0;

    for (size_t i = 0; i < DR_ARRAY_LEN(rows); i++) {
        access |= covers(v, path, depth, &rows[i]) ? rows[i].access : 0;
    }
    return access;
}

/* An image, or where it is: in the format of one value, as servers send them. */
static void put_package(const struct sim_values *v, const struct cx_pdu *request,
                        struct sim_answer *ret)
{
    bool image = ret->path[2] == 0;
    int32_t format = request->content_format;

    if (format >= 0 && format != (image ? LWM2M_CT_OPAQUE : LWM2M_CT_TEXT)) {
        refuse(ret, CX_UNSUPPORTED_FORMAT);
        return;
    }
    if (!image && v->model->push && request->payload_len > 0) {
        refuse(ret, CX_NOT_ALLOWED);
        return;
    }
    refuse(ret, CX_CHANGED);
    ret->effect = image ? SIM_PACKAGE : SIM_PACKAGE_URI;
}

static void put(struct sim_values *v, const struct cx_pdu *request, struct sim_answer *ret)
{
    struct cx_opt query;

    if (request->payload_len == 0 && cx_opt_find(request, CX_OPT_URI_QUERY, &query)) {
        refuse(ret, CX_CHANGED); /* Write-Attributes: taken, the fleet notifies at its own pace */
    } else if (ret->depth == 3 && ret->path[0] == 5 && ret->path[2] <= 1) {
        put_package(v, request, ret);
    } else if (ret->depth < 2 || (access_of(v, ret->path, ret->depth) & WRITE) == 0) {
        refuse(ret, CX_NOT_ALLOWED);
    } else {
        write_resource(v, request, ret);
    }
}

static void post(struct sim_values *v, const struct cx_pdu *request, struct sim_answer *ret)
{
    if (ret->depth == 2) {
        put(v, request, ret);
        return;
    }
    if (ret->depth != 3 || (access_of(v, ret->path, 3) & EXECUTE) == 0) {
        refuse(ret, CX_NOT_ALLOWED);
        return;
    }
    refuse(ret, CX_CHANGED);
    if (ret->path[0] == 1) {
        ret->effect = SIM_UPDATE;
    } else if (ret->path[0] == 3) {
        ret->effect = SIM_REBOOT;
    } else if (ret->path[0] == 5) {
        ret->effect = SIM_INSTALL;
    } else if (ret->path[0] == 10252) {
        /* in another format it gets no answer at all, as from the devices this is like */
        ret->code = request->content_format > 0 ? CX_EMPTY : CX_CHANGED;
        ret->effect = ret->code == CX_EMPTY ? SIM_NOTHING : SIM_MANIFEST;
        ret->separate = true;
    } else {
        v->low = v->high = v->temperature;
    }
}

static void get(const struct sim_values *v, const struct sim_name *name,
                const struct cx_pdu *request, struct sim_answer *ret)
{
    if (request->accept == LWM2M_CT_LINK) {
        discover(v, ret->path, ret->depth, ret);
        return;
    }
    sim_value(v, name, ret->path, ret->depth, request->accept, ret);
    if (ret->code == CX_CONTENT && request->observe == 0) {
        ret->effect = SIM_OBSERVE;
    } else if (ret->code == CX_CONTENT && request->observe == 1) {
        ret->effect = SIM_CANCEL;
    }
}

void sim_operate(struct sim_values *v, const struct sim_name *name, const struct cx_pdu *request,
                 struct sim_answer *ret)
{
    char text[PATH_TEXT_MAX];
    struct lwm2m_path path;

    ret->effect = SIM_NOTHING;
    ret->separate = false;
    if (cx_pdu_path(request, text, sizeof text) != DR_OK ||
        lwm2m_path_parse(text, strlen(text), &path) != DR_OK || path.depth == 0 || path.depth > 3 ||
        !known(v, path.id, path.depth)) {
        refuse(ret, CX_NOT_FOUND);
        return;
    }
    memcpy(ret->path, path.id, sizeof ret->path);
    ret->depth = path.depth;
    switch (request->code) {
    case CX_GET:
        get(v, name, request, ret);
        break;
    case CX_PUT:
        put(v, request, ret);
        break;
    case CX_POST:
        post(v, request, ret);
        break;
    default:
        refuse(ret, CX_NOT_ALLOWED);
        break;
    }
}
