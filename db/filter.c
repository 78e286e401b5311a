/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a list is found in two steps: the ids, by one statement made for these conditions, then
 * each row by id.
 *
 * The planner has no statistics here and could not use them anyway (values are bound), so the index
 * is chosen by looking: for each condition that has an index, count its entries, up to PROBE_MAX.
 *
 *   - EQ on an indexed field gives ids in order: any number of entries is fine.
 *   - IN and ranges give ids out of order: fine while there are few, they are sorted.
 *   - otherwise walk in id order; with so many entries matches come soon.
 *
 * "+column" keeps SQLite from using an index of its own choice for that term.
 */
#include "db/filter_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/text.h"
#include "db/db_priv.h"
#include "db/device.h"

#define PROBE_FEW    256
#define PROBE_MAX    8192
#define JSON_KEY_MAX 128
/** Unix ms that fit the upper bits of an id. */
#define ID_MS_MAX    ((1LL << 43) - 1)

struct field {
    const char *name;
    const char *column;
    enum filter_kind kind;
    const char *index;   /* begins (account, column), then the id; NULL = none */
    bool partial;        /* the index leaves out '' */
    enum db_facet facet; /* 0 = no counter */
};

struct value {
    bool is_int;
    int64_t i;
    const char *text;
    char uuid[FILTER_UUID_LEN + 1];
};

struct cond {
    const struct field *field;
    enum db_op op;
    struct value *values; /* in struct conds.values */
    size_t n;
    char path[JSON_KEY_MAX + 8]; /* FILTER_JSON: $."name" */
};

struct conds {
    struct cond c[DB_CONDS_MAX];
    size_t n;
    struct value *values; /* owned */
    size_t n_values;
    bool none; /* IN of nothing: no row can match */
};

struct list {
    const char *table;
    const char *scan; /* how to walk in id order */
    const struct field *fields;
    size_t n_fields;
    bool counters;
};

/* ---- field tables ---- */

#define DEVICE_FIELD(symbol, type, member, k)                                                      \
    {.name = #member, .column = #member, .kind = FILTER_##k},
#define DEVICE_KEY(col, k, idx, part, fac)                                                         \
    {                                                                                              \
        .name = #col, .column = #col, .kind = FILTER_##k, .index = idx, .partial = part,           \
        .facet = fac                                                                               \
    }

/* The first entry of a name counts: those with an index stand before the general list. */
static const struct field device_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "account_id", .column = "account", .kind = FILTER_ID},
    DEVICE_KEY(endpoint_name, TEXT, "device_endpoint", false, DB_FACET_TOTAL),
    DEVICE_KEY(state, STATE, "device_state", false, DB_FACET_STATE),
    DEVICE_KEY(updated_at, TIME, "device_updated", false, DB_FACET_TOTAL),
    {.name = "etag", .column = "updated_at", .kind = FILTER_TIME, .index = "device_updated"},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "lifecycle_status",
     .column = "(operator_suspended OR system_suspended)",
     .kind = FILTER_BLOCKED},
    DEVICE_KEY(endpoint_type, TEXT, "device_type", true, DB_FACET_ENDPOINT_TYPE),
    DEVICE_KEY(device_class, UUID, "device_class", true, DB_FACET_DEVICE_CLASS),
    DEVICE_KEY(vendor_id, UUID, "device_vendor", true, DB_FACET_VENDOR_ID),
    DEVICE_KEY(name, TEXT, "device_name", true, DB_FACET_TOTAL),
    DEVICE_KEY(serial_number, TEXT, "device_serial", true, DB_FACET_TOTAL),
    DEVICE_KEY(device_key, TEXT, "device_devkey", true, DB_FACET_TOTAL),
    DEVICE_KEY(host_gateway, TEXT, "device_gateway", true, DB_FACET_TOTAL),
    DB_DEVICE_FIELDS(DEVICE_FIELD)};

static const struct field event_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "device_id", .column = "device", .kind = FILTER_ID, .index = "event_device"},
    {.name = "date_time", .column = "id", .kind = FILTER_IDTIME},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "event_type", .column = "event_type", .kind = FILTER_TEXT},
    {.name = "event_type_category", .column = "event_type_category", .kind = FILTER_TEXT},
    {.name = "event_type_description", .column = "event_type_description", .kind = FILTER_TEXT},
    {.name = "state_change", .column = "state_change", .kind = FILTER_BOOL},
};

static const struct field apikey_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "owner", .column = "owner", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "status", .column = "active", .kind = FILTER_ACTIVE},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

static const struct field campaign_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "device_filter", .column = "device_filter", .kind = FILTER_TEXT},
    {.name = "root_manifest_id", .column = "root_manifest_id", .kind = FILTER_ID},
    {.name = "phase", .column = "phase", .kind = FILTER_INT},
    {.name = "state", .column = "state", .kind = FILTER_INT},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
    {.name = "started_at", .column = "started_at", .kind = FILTER_TIME},
    {.name = "finished", .column = "finished_at", .kind = FILTER_TIME},
    {.name = "when", .column = "when_at", .kind = FILTER_TIME},
};

static const struct field image_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "datafile_checksum", .column = "sha256", .kind = FILTER_TEXT},
    {.name = "datafile_size", .column = "size", .kind = FILTER_INT},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

static const struct field upload_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "status",
     .column = "(CASE image WHEN 0 THEN 'in_progress' ELSE 'success' END)",
     .kind = FILTER_TEXT},
    {.name = "complete", .column = "(image <> 0)", .kind = FILTER_BOOL},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

static const struct field manifest_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "device_class", .column = "class_id", .kind = FILTER_UUID},
    {.name = "datafile_size", .column = "length(raw)", .kind = FILTER_INT},
    {.name = "timestamp", .column = "timestamp_ms", .kind = FILTER_TIME},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

#define NOW_MS "(CAST(strftime('%s', 'now') AS INTEGER) * 1000)"

static const struct field trusted_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "name", .column = "name", .kind = FILTER_TEXT},
    {.name = "description", .column = "description", .kind = FILTER_TEXT},
    {.name = "service", .column = "service", .kind = FILTER_TEXT},
    {.name = "status", .column = "status", .kind = FILTER_TEXT},
    {.name = "subject", .column = "subject", .kind = FILTER_TEXT},
    {.name = "issuer", .column = "issuer", .kind = FILTER_TEXT},
    {.name = "certificate_fingerprint", .column = "fingerprint", .kind = FILTER_TEXT},
    {.name = "owner", .column = "owner", .kind = FILTER_ID},
    {.name = "owner_id", .column = "owner", .kind = FILTER_ID},
    {.name = "expire", .column = "not_after", .kind = FILTER_TIME},
    {.name = "validity", .column = "not_after", .kind = FILTER_TIME},
    {.name = "valid",
     .column = "(not_before <= " NOW_MS " AND not_after > " NOW_MS ")",
     .kind = FILTER_BOOL},
    {.name = "enrollment_mode", .column = "enrollment_mode", .kind = FILTER_BOOL},
    {.name = "device_execution_mode", .column = "execution_mode", .kind = FILTER_INT},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

static const struct field cert_enrollment_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "device_id", .column = "device", .kind = FILTER_ID},
    {.name = "certificate_name", .column = "certificate_name", .kind = FILTER_TEXT},
    {.name = "enroll_status", .column = "status", .kind = FILTER_TEXT},
    {.name = "enroll_result", .column = "result", .kind = FILTER_TEXT},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
    {.name = "updated_at", .column = "updated_at", .kind = FILTER_TIME},
};

static const struct field enrollment_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "enrollment_identity", .column = "identity", .kind = FILTER_TEXT},
    {.name = "enrolled_device_id", .column = "device", .kind = FILTER_ID},
    {.name = "claimed_at", .column = "claimed_at", .kind = FILTER_TIME},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
};

static const struct field denial_fields[] = {
    {.name = "id", .column = "id", .kind = FILTER_ID},
    {.name = "endpoint_name", .column = "endpoint_name", .kind = FILTER_TEXT},
    {.name = "trusted_certificate_id", .column = "trusted_cert", .kind = FILTER_ID},
    {.name = "created_at", .column = "id", .kind = FILTER_IDTIME},
};

static const struct list lists[] = {
    [DB_LIST_DEVICE] = {"device", "INDEXED BY device_account", device_fields,
                        DR_ARRAY_LEN(device_fields), true},
    [DB_LIST_EVENT] = {"event", "", event_fields, DR_ARRAY_LEN(event_fields), false},
    [DB_LIST_APIKEY] = {"apikey", "INDEXED BY apikey_account", apikey_fields,
                        DR_ARRAY_LEN(apikey_fields), false},
    [DB_LIST_CAMPAIGN] = {"campaign", "INDEXED BY campaign_account", campaign_fields,
                          DR_ARRAY_LEN(campaign_fields), false},
    [DB_LIST_IMAGE] = {"firmware_image", "INDEXED BY firmware_image_account", image_fields,
                       DR_ARRAY_LEN(image_fields), false},
    [DB_LIST_UPLOAD] = {"firmware_upload", "INDEXED BY firmware_upload_account", upload_fields,
                        DR_ARRAY_LEN(upload_fields), false},
    [DB_LIST_MANIFEST] = {"firmware_manifest", "INDEXED BY firmware_manifest_account",
                          manifest_fields, DR_ARRAY_LEN(manifest_fields), false},
    [DB_LIST_TRUSTED] = {"trusted_cert", "INDEXED BY trusted_cert_account", trusted_fields,
                         DR_ARRAY_LEN(trusted_fields), false},
    [DB_LIST_CERT_ENROLLMENT] = {"cert_enrollment", "INDEXED BY cert_enrollment_account",
                                 cert_enrollment_fields, DR_ARRAY_LEN(cert_enrollment_fields),
                                 false},
    [DB_LIST_ENROLLMENT] = {"enrollment", "INDEXED BY enrollment_account", enrollment_fields,
                            DR_ARRAY_LEN(enrollment_fields), false},
    [DB_LIST_DENIAL] = {"enrollment_denial", "INDEXED BY enrollment_denial_account", denial_fields,
                        DR_ARRAY_LEN(denial_fields), false},
};

/* ---- reading conditions ---- */

const char *filter_uuid(const char *in, char out[FILTER_UUID_LEN + 1])
{
    size_t n = 0;

    for (const char *p = in; *p != '\0'; p++) {
        if (*p == '-') {
            continue;
        }
        if (n == FILTER_UUID_LEN || isxdigit((unsigned char)*p) == 0) {
            return in;
        }
        out[n++] = (char)tolower((unsigned char)*p);
    }
    out[n] = '\0';
    return n == FILTER_UUID_LEN ? out : in;
}

static bool parse_int(const char *text, int64_t *ret)
{
    uint64_t u;
    bool minus = text[0] == '-';

    if (dr_parse_u64(text + minus, strlen(text + minus), &u) != DR_OK || u > INT64_MAX) {
        return false;
    }
    *ret = minus ? -(int64_t)u : (int64_t)u;
    return true;
}

static bool parse_bool(const char *text, const char *yes, const char *no, int64_t *ret)
{
    bool is_yes = strcasecmp(text, yes) == 0 || strcmp(text, "1") == 0;

    if (!is_yes && strcasecmp(text, no) != 0 && strcmp(text, "0") != 0) {
        return false;
    }
    *ret = is_yes ? 1 : 0;
    return true;
}

static bool parse_time(const char *text, int64_t *ret)
{
    char day[24];
    size_t len = strlen(text);

    if (len == 10) { /* a date is its first moment */
        (void)snprintf(day, sizeof(day), "%sT00:00:00Z", text);
        text = day;
        len = strlen(day);
    }
    if (dr_time_parse(text, len, ret) != DR_OK) {
        return false;
    }
    *ret = *ret < 0 ? 0 : *ret > ID_MS_MAX ? ID_MS_MAX : *ret;
    return true;
}

static bool parse_value(enum filter_kind kind, const char *text, struct value *v)
{
    enum db_device_state state;

    v->is_int = true;
    switch (kind) {
    case FILTER_TEXT:
    case FILTER_JSON:
        v->is_int = false;
        v->text = text;
        return true;
    case FILTER_UUID:
        v->is_int = false;
        v->text = filter_uuid(text, v->uuid);
        return true;
    case FILTER_INT:
        return parse_int(text, &v->i);
    case FILTER_BOOL:
        return parse_bool(text, "true", "false", &v->i);
    case FILTER_BLOCKED:
        return parse_bool(text, "blocked", "enabled", &v->i);
    case FILTER_ACTIVE:
        return parse_bool(text, "ACTIVE", "INACTIVE", &v->i);
    case FILTER_TIME:
    case FILTER_IDTIME:
        return parse_time(text, &v->i);
    case FILTER_ID:
        return dr_id_parse(text, strlen(text), &v->i) == DR_OK;
    case FILTER_STATE:
        if (!db_device_state_parse(text, &state)) {
            return false;
        }
        v->i = state;
        return true;
    default:
        return false;
    }
}

static const struct field *find_field(const struct list *l, const char *name, struct cond *c)
{
    const char *sep = strstr(name, "__");

    for (size_t i = 0; i < l->n_fields; i++) {
        const struct field *f = &l->fields[i];
        if (f->kind != FILTER_JSON) {
            if (strcmp(f->name, name) == 0) {
                return f;
            }
            continue;
        }
        if (sep == NULL || strlen(f->name) != (size_t)(sep - name) ||
            strncmp(f->name, name, (size_t)(sep - name)) != 0) {
            continue;
        }
        const char *key = sep + 2;
        if (key[0] == '\0' || strlen(key) > JSON_KEY_MAX || strpbrk(key, "\"\\") != NULL) {
            return NULL;
        }
        (void)snprintf(c->path, sizeof(c->path), "$.\"%s\"", key);
        return f;
    }
    return NULL;
}

/* "not registered" is nearly nothing or nearly all: as a list of the others it can use the index.
 */
static void complement_states(struct conds *cs, struct cond *c)
{
    uint32_t not = 0;
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        not |= 1U << c->values[i].i;
    }
    c->values = cs->values + cs->n_values;
    for (int s = DB_DEVICE_UNENROLLED; s <= DB_DEVICE_DEREGISTERED; s++) {
        if ((not &(1U << s)) == 0) {
            c->values[n++] = (struct value){.is_int = true, .i = s};
        }
    }
    cs->n_values += n;
    c->n = n;
    c->op = DB_OP_IN;
}

static dr_err_t read_cond(const struct list *l, const struct db_cond *in, struct conds *cs,
                          struct dr_errinfo *reterr)
{
    struct cond *c = &cs->c[cs->n];
    bool many = in->op == DB_OP_IN || in->op == DB_OP_NIN;

    c->field = find_field(l, in->field, c);
    if (c->field == NULL) {
        dr_errinfo_set(reterr, in->field, 0, "there is no such field to filter by");
        return DR_ERR_INVAL;
    }
    enum filter_kind kind = c->field->kind;
    bool text = kind == FILTER_TEXT || kind == FILTER_UUID || kind == FILTER_JSON;
    if (in->op > DB_OP_LIKE || (in->op == DB_OP_LIKE && !text) || (!many && in->n_values != 1)) {
        dr_errinfo_set(reterr, in->field, 0, "the field cannot be compared in that way");
        return DR_ERR_INVAL;
    }
    c->op = in->op;
    c->n = in->n_values;
    c->values = cs->values + cs->n_values;
    for (size_t i = 0; i < in->n_values; i++) {
        if (!parse_value(kind, in->values[i], &c->values[i])) {
            dr_errinfo_set(reterr, in->field, 0, "'%s' is not a value of this field",
                           in->values[i]);
            return DR_ERR_INVAL;
        }
    }
    cs->n_values += in->n_values;
    if (kind == FILTER_STATE && (c->op == DB_OP_NEQ || c->op == DB_OP_NIN)) {
        complement_states(cs, c);
    }
    cs->none = cs->none || (c->op == DB_OP_IN && c->n == 0);
    if (c->op == DB_OP_IN && c->n == 1) {
        c->op = DB_OP_EQ;
    }
    cs->n++;
    return DR_OK;
}

static dr_err_t read_conds(enum db_list list, const struct db_cond *in, size_t n, struct conds *cs,
                           struct dr_errinfo *reterr)
{
    size_t values = 0;
    dr_err_t err = DR_OK;

    cs->n = 0;
    cs->none = false;
    cs->n_values = 0;
    cs->values = NULL;
    for (size_t i = 0; i < n; i++) {
        values += in[i].n_values;
        if (i == DB_CONDS_MAX || in[i].n_values > DB_COND_VALUES_MAX ||
            values > FILTER_VALUES_MAX) {
            dr_errinfo_set(reterr, in[i].field, 0, "too many conditions or values");
            return DR_ERR_LIMIT;
        }
    }
    if (n == 0) {
        return DR_OK;
    }
    /* + 5 for each: complement_states() */
    cs->values = calloc(values + 5 * n, sizeof(*cs->values));
    if (cs->values == NULL) {
        return DR_ERR_NOMEM;
    }
    for (size_t i = 0; i < n && err == DR_OK; i++) {
        err = read_cond(&lists[list], &in[i], cs, reterr);
    }
    if (err != DR_OK) {
        free(cs->values);
        cs->values = NULL;
    }
    return err;
}

dr_err_t db_conds_check(enum db_list list, const struct db_cond *conds, size_t n,
                        struct dr_errinfo *reterr)
{
    struct conds cs;

    dr_assert(list < DB_LIST_COUNT && (conds != NULL || n == 0));
    dr_err_t err = read_conds(list, conds, n, &cs, reterr);
    if (err == DR_OK) {
        free(cs.values);
    }
    return err;
}

/* ---- SQL text ---- */

static void put_marks(struct dr_wr *wr, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dr_wr_put_str(wr, i == 0 ? "?" : ",?");
    }
}

/* Is the condition one of the bounds of id that id_range() gives? */
static bool is_bound(const struct cond *c)
{
    return c->field->kind == FILTER_IDTIME &&
           (c->op == DB_OP_EQ || c->op == DB_OP_LTE || c->op == DB_OP_GTE);
}

/* Ids between which the rows are. One pair for all conditions and the page: of several terms on the
 * id, SQLite would seek by one and read past the others. */
static void id_range(const struct conds *cs, const struct db_query *query, int64_t *ret_lo,
                     int64_t *ret_hi)
{
    int64_t lo = INT64_MIN, hi = INT64_MAX;

    for (size_t i = 0; i < cs->n; i++) {
        const struct cond *c = &cs->c[i];
        if (!is_bound(c)) {
            continue;
        }
        int64_t first = c->values[0].i * (1LL << 20), last = first | ((1LL << 20) - 1);
        if (c->op != DB_OP_LTE && first > lo) {
            lo = first;
        }
        if (c->op != DB_OP_GTE && last < hi) {
            hi = last;
        }
    }
    if (query->after > 0 && query->order == DB_ASC && query->after >= lo) {
        lo = query->after + 1;
    }
    if (query->after > 0 && query->order == DB_DESC && query->after <= hi) {
        hi = query->after - 1;
    }
    *ret_lo = lo;
    *ret_hi = hi;
}

static void put_left(struct dr_wr *wr, const struct cond *c, bool plus)
{
    if (c->field->kind == FILTER_JSON) {
        dr_wr_printf(wr, "ifnull(CAST(json_extract(%s, ?) AS TEXT), '')", c->field->column);
    } else if (c->field->kind == FILTER_IDTIME) {
        dr_wr_put_str(wr, "(id >> 20)");
    } else {
        dr_wr_printf(wr, "%s%s", plus ? "+" : "", c->field->column);
    }
}

static void put_cond(struct dr_wr *wr, const struct cond *c, bool plus)
{
    static const char *const ops[] = {"=", "<>", "IN", "NOT IN", "<=", ">="};

    if (is_bound(c)) {
        return;
    }
    dr_wr_put_str(wr, " AND ");
    if (c->op == DB_OP_LIKE) {
        dr_wr_put_str(wr, "instr(lower(");
        put_left(wr, c, plus);
        dr_wr_put_str(wr, "), lower(?)) > 0");
        return;
    }
    put_left(wr, c, plus);
    dr_wr_printf(wr, " %s ", ops[c->op]);
    if (c->op == DB_OP_IN || c->op == DB_OP_NIN) {
        dr_wr_put_str(wr, "(");
        put_marks(wr, c->n);
        dr_wr_put_str(wr, ")");
    } else {
        dr_wr_put_str(wr, "?");
    }
    if (c->field->kind == FILTER_TIME && (c->op == DB_OP_LTE || c->op == DB_OP_GTE)) {
        dr_wr_printf(wr, " AND +%s <> 0", c->field->column); /* absent is not early */
    }
}

static void bind_value(struct conn_q *q, const struct value *v)
{
    if (v->is_int) {
        conn_put_int(q, v->i);
    } else {
        conn_put_text(q, v->text);
    }
}

static void bind_cond(struct conn_q *q, const struct cond *c)
{
    if (is_bound(c)) {
        return;
    }
    if (c->field->kind == FILTER_JSON) {
        conn_put_text(q, c->path);
    }
    for (size_t i = 0; i < c->n; i++) {
        bind_value(q, &c->values[i]);
    }
}

/* ---- choosing the way ---- */

/** All terms on the field @c by drive the search; NULL: walk in id order. */
struct plan {
    const struct field *by;
    bool by_id; /* EQ or IN on the id itself */
};

static bool is_id(const struct cond *c)
{
    return c->field->kind == FILTER_ID && strcmp(c->field->column, "id") == 0 &&
           (c->op == DB_OP_EQ || c->op == DB_OP_IN);
}

static bool can_drive(const struct cond *c)
{
    const struct field *f = c->field;

    if (f->index == NULL) {
        return false;
    }
    if (c->op == DB_OP_LTE || c->op == DB_OP_GTE) {
        return !f->partial;
    }
    if ((c->op != DB_OP_EQ && c->op != DB_OP_IN) || c->n == 0) {
        return false;
    }
    for (size_t i = 0; i < c->n && f->partial; i++) {
        if (c->values[i].text[0] == '\0') {
            return false;
        }
    }
    return true;
}

static bool drives(const struct plan *p, const struct cond *c)
{
    return p->by != NULL && strcmp(p->by->column, c->field->column) == 0;
}

static void put_from(struct dr_wr *wr, const struct list *l, const struct conds *cs,
                     const struct plan *p)
{
    if (p->by_id) {
        dr_wr_printf(wr, " FROM %s NOT INDEXED WHERE +account = ?", l->table);
    } else if (p->by != NULL) {
        dr_wr_printf(wr, " FROM %s INDEXED BY %s WHERE account = ?", l->table, p->by->index);
        if (p->by->partial) {
            dr_wr_printf(wr, " AND %s <> ''", p->by->column);
        }
    } else {
        dr_wr_printf(wr, " FROM %s %s WHERE account = ?", l->table, l->scan);
    }
    for (size_t i = 0; i < cs->n; i++) {
        put_cond(wr, &cs->c[i], !drives(p, &cs->c[i]) && !is_id(&cs->c[i]));
    }
}

static dr_err_t probe(struct db_reader *r, const struct list *l, int64_t account,
                      const struct cond *c, int64_t max, int64_t *ret)
{
    char sql[CONN_SQL_MAX];
    struct dr_wr wr = dr_wr_of(sql, sizeof(sql));

    dr_wr_printf(&wr, "SELECT count(*) FROM (SELECT 1 FROM %s INDEXED BY %s WHERE account = ?",
                 l->table, c->field->index);
    if (c->field->partial) {
        dr_wr_printf(&wr, " AND %s <> ''", c->field->column);
    }
    put_cond(&wr, c, false);
    dr_wr_put_str(&wr, " LIMIT ?)");
    dr_wr_u8(&wr, 0);
    if (!dr_wr_ok(&wr)) {
        return DR_ERR_LIMIT;
    }
    struct conn_q q = conn_q_dynamic(r, sql);
    conn_put_int(&q, account);
    bind_cond(&q, c);
    conn_put_int(&q, max);
    int64_t n = 0;
    if (conn_row(&q)) {
        n = conn_col_int(&q, 0);
    }
    dr_err_t err = conn_end(&q);
    if (err == DR_OK) {
        *ret = n;
    }
    return err;
}

/* Look at each condition's index up to @p max entries; the one with the fewest is to drive. */
static dr_err_t look(struct db_reader *r, const struct list *l, int64_t account,
                     const struct conds *cs, int64_t max, struct plan *p, int64_t *ret_best)
{
    int64_t best = INT64_MAX;

    for (size_t i = 0; i < cs->n; i++) {
        const struct cond *c = &cs->c[i];
        int64_t n = 0;
        if (!can_drive(c)) {
            continue;
        }
        if (cs->n > 1 || c->op != DB_OP_EQ) {
            dr_err_t err = probe(r, l, account, c, max, &n);
            if (err != DR_OK) {
                return err;
            }
        }
        if (n < best && (n < max || c->op == DB_OP_EQ)) {
            best = n;
            p->by = c->field;
        }
    }
    *ret_best = best;
    return DR_OK;
}

static dr_err_t choose(struct db_reader *r, const struct list *l, int64_t account,
                       const struct conds *cs, struct plan *p)
{
    int64_t best;

    *p = (struct plan){0};
    for (size_t i = 0; i < cs->n; i++) {
        if (is_id(&cs->c[i])) {
            p->by_id = strcmp(l->table, "event") != 0; /* whose key has the id in it */
            return DR_OK;
        }
    }
    dr_err_t err = look(r, l, account, cs, PROBE_FEW, p, &best);
    if (err == DR_OK && best >= PROBE_FEW) {
        p->by = NULL;
        err = look(r, l, account, cs, PROBE_MAX, p, &best);
    }
    return err;
}

/* ---- lists and counts ---- */

static dr_err_t run_ids(struct db_reader *r, const struct list *l, const struct db_query *query,
                        const struct conds *cs, filter_id_fn *fn, void *data)
{
    char sql[CONN_SQL_MAX];
    struct dr_wr wr = dr_wr_of(sql, sizeof(sql));
    struct plan p;
    int64_t lo, hi;
    dr_err_t err = choose(r, l, query->account, cs, &p);

    if (err != DR_OK) {
        return err;
    }
    dr_wr_put_str(&wr, "SELECT id");
    put_from(&wr, l, cs, &p);
    id_range(cs, query, &lo, &hi);
    dr_wr_printf(&wr, " AND id BETWEEN ? AND ? ORDER BY id%s LIMIT ?",
                 query->order == DB_DESC ? " DESC" : "");
    dr_wr_u8(&wr, 0);
    if (!dr_wr_ok(&wr)) {
        return DR_ERR_LIMIT;
    }
    struct conn_q q = conn_q_dynamic(r, sql);
    conn_put_int(&q, query->account);
    for (size_t i = 0; i < cs->n; i++) {
        bind_cond(&q, &cs->c[i]);
    }
    conn_put_int(&q, lo);
    conn_put_int(&q, hi);
    conn_put_int(&q, query->limit);
    while (err == DR_OK && conn_row(&q)) {
        err = fn(data, conn_col_int(&q, 0));
    }
    dr_err_t end = conn_end(&q);
    return end != DR_OK ? end : err;
}

dr_err_t filter_ids(struct db_reader *r, enum db_list list, const struct db_query *query,
                    filter_id_fn *fn, void *data, struct dr_errinfo *reterr)
{
    struct conds cs;
    dr_err_t err = read_conds(list, query->conds, query->n_conds, &cs, reterr);

    if (err != DR_OK) {
        return err;
    }
    if (!cs.none) {
        err = run_ids(r, &lists[list], query, &cs, fn, data);
    }
    free(cs.values);
    return err;
}

struct page {
    int64_t ids[DB_LIMIT_MAX + 1];
    size_t n;
};

static dr_err_t page_add(void *data, int64_t id)
{
    struct page *page = (struct page *)data;

    page->ids[page->n++] = id;
    return DR_OK;
}

dr_err_t filter_page(struct db_reader *r, enum db_list list, const struct db_query *query,
                     filter_id_fn *fn, void *data, struct dr_errinfo *reterr)
{
    struct page page = {.n = 0};

    if (query->limit < 1 || query->limit > DB_LIMIT_MAX + 1) {
        dr_errinfo_set(reterr, "limit", 0, "out of range");
        return DR_ERR_RANGE;
    }
    dr_err_t err = filter_ids(r, list, query, page_add, &page, reterr);
    for (size_t i = 0; i < page.n && err == DR_OK; i++) {
        err = fn(data, page.ids[i]);
    }
    return err;
}

/* From counters, where they hold the answer. DR_ERR_UNSUPPORTED: they do not. */
static dr_err_t count_kept(struct db_reader *r, int64_t account, const struct conds *cs,
                           int64_t *ret)
{
    int64_t sum = 0, n;

    if (cs->n == 0) {
        return db_count_get(r, account, DB_FACET_TOTAL, "", ret);
    }
    const struct cond *c = &cs->c[0];
    if (cs->n != 1 || c->field->facet == DB_FACET_TOTAL || c->op != DB_OP_EQ) {
        /* IN might name a value twice */
        return DR_ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < c->n; i++) {
        char digits[24];
        const char *text = c->values[i].text;
        if (c->values[i].is_int) {
            (void)snprintf(digits, sizeof(digits), "%lld", (long long)c->values[i].i);
            text = digits;
        }
        dr_err_t err = db_count_get(r, account, c->field->facet, text, &n);
        if (err != DR_OK) {
            return err;
        }
        sum += n;
    }
    *ret = sum;
    return DR_OK;
}

static dr_err_t count_rows(struct db_reader *r, const struct list *l, int64_t account,
                           const struct conds *cs, int64_t *ret)
{
    const struct db_query all = {.account = account};
    char sql[CONN_SQL_MAX];
    struct dr_wr wr = dr_wr_of(sql, sizeof(sql));
    struct plan p;
    int64_t n = 0, lo, hi;
    dr_err_t err = choose(r, l, account, cs, &p);

    if (err != DR_OK) {
        return err;
    }
    dr_wr_put_str(&wr, "SELECT count(*)");
    put_from(&wr, l, cs, &p);
    id_range(cs, &all, &lo, &hi);
    dr_wr_put_str(&wr, " AND id BETWEEN ? AND ?");
    dr_wr_u8(&wr, 0);
    if (!dr_wr_ok(&wr)) {
        return DR_ERR_LIMIT;
    }
    struct conn_q q = conn_q_dynamic(r, sql);
    conn_put_int(&q, account);
    for (size_t i = 0; i < cs->n; i++) {
        bind_cond(&q, &cs->c[i]);
    }
    conn_put_int(&q, lo);
    conn_put_int(&q, hi);
    if (conn_row(&q)) {
        n = conn_col_int(&q, 0);
    }
    err = conn_end(&q);
    if (err == DR_OK) {
        *ret = n;
    }
    return err;
}

dr_err_t filter_count(struct db_reader *r, enum db_list list, const struct db_query *query,
                      int64_t *ret, struct dr_errinfo *reterr)
{
    struct conds cs;
    dr_err_t err = read_conds(list, query->conds, query->n_conds, &cs, reterr);

    if (err != DR_OK) {
        return err;
    }
    err = DR_ERR_UNSUPPORTED;
    if (cs.none) {
        *ret = 0;
        err = DR_OK;
    } else if (lists[list].counters) {
        err = count_kept(r, query->account, &cs, ret);
    }
    if (err == DR_ERR_UNSUPPORTED) {
        err = count_rows(r, &lists[list], query->account, &cs, ret);
    }
    free(cs.values);
    return err;
}
