/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence  [ command, argument, command, argument .. ]
 * example   [20, {21: "http://update.example.com/fw.bin"}, 21, 2, 3, 15]: set the URI, fetch,
 * compare
 *
 * Nothing is executed: the run follows parameters and conditions as a processor would, once for
 * every slot that a condition names, and notes what would be fetched. Alternatives that are not
 * taken are walked too, so that a fault in them is found.
 */
#include "base/cbor.h"
#include "manifest/manifest_priv.h"

#define STEPS_MAX  4096 /* commands of a whole run */
#define DEPTH_MAX  4    /* sequences inside of sequences */
#define SLOTS_MAX  4
#define POLICY_MAX 15

struct params {
    struct dr_bytes vendor, class_id, device, digest, uri;
    bool has_size, has_slot, has_source;
    uint64_t size, slot;
    struct dr_bytes precursor; /**< matched before anything was fetched in this phase */
    bool written;              /**< fetched or copied to in this phase */
};

/* What is counted over the whole run, whichever alternative is taken. */
struct tally {
    unsigned steps;
    uint64_t slots[SLOTS_MAX];
    uint32_t slot_count;
};

struct run {
    struct manifest_scan *s;
    struct tally *tally;
    struct params c[MANIFEST_COMPONENTS_MAX];
    uint32_t selected; /**< bit a component */
    int64_t slot;      /**< the inactive slot supposed here, -1 = not decided */
    bool live;         /**< on the path that would be taken */
    bool shared;       /**< in the shared sequence */
    bool record;       /**< phase whose fetches are images */
    unsigned depth;
};

static dr_err_t walk(struct run *run, struct dr_bytes code, bool top, bool *ret_pass);

static dr_err_t malformed(struct run *run, const char *what)
{
    return manifest_fail(run->s, MANIFEST_CHECK_MALFORMED, "%s is malformed", what);
}

static bool selected(const struct run *run, uint32_t i)
{
    return (run->selected >> i & 1) != 0;
}

static dr_err_t get_policy(struct run *run, struct dr_cbor *r)
{
    uint64_t policy = 0;

    return dr_cbor_get_uint(r, &policy) == DR_OK && policy <= POLICY_MAX
               ? DR_OK
               : malformed(run, "a reporting policy");
}

/* ---- parameters ---- */

static dr_err_t get_id_param(struct run *run, struct dr_cbor *r, struct dr_bytes *ret)
{
    struct dr_cbor_item item;

    if (dr_cbor_next(r, &item) != DR_OK) {
        return malformed(run, "an identifier");
    }
    if (item.type == DR_CBOR_TAG) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "an identifier that is no UUID");
    }
    if (item.type != DR_CBOR_BYTES || item.indefinite || item.s.len != MANIFEST_ID_LEN) {
        return malformed(run, "an identifier");
    }
    *ret = item.s;
    return DR_OK;
}

static dr_err_t get_digest_param(struct run *run, struct dr_cbor *r, struct dr_bytes *ret)
{
    struct dr_bytes wrapped;

    return dr_cbor_get_bytes(r, &wrapped) == DR_OK ? manifest_suit_digest(run->s, wrapped, ret)
                                                   : malformed(run, "an image digest");
}

static dr_err_t get_uint_param(struct run *run, struct dr_cbor *r, bool *ret_has, uint64_t *ret)
{
    *ret_has = true;
    return dr_cbor_get_uint(r, ret) == DR_OK ? DR_OK : malformed(run, "a number");
}

static dr_err_t get_param(struct run *run, struct dr_cbor *r, struct params *set)
{
    struct dr_bytes args;
    uint64_t key = 0, source = 0;

    if (dr_cbor_get_uint(r, &key) != DR_OK) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "a custom parameter");
    }
    switch (key) {
    case MANIFEST_SUIT_P_VENDOR:
        return get_id_param(run, r, &set->vendor);
    case MANIFEST_SUIT_P_CLASS:
        return get_id_param(run, r, &set->class_id);
    case MANIFEST_SUIT_P_DEVICE:
        return get_id_param(run, r, &set->device);
    case MANIFEST_SUIT_P_DIGEST:
        return get_digest_param(run, r, &set->digest);
    case MANIFEST_SUIT_P_SLOT:
        return get_uint_param(run, r, &set->has_slot, &set->slot);
    case MANIFEST_SUIT_P_SIZE:
        return get_uint_param(run, r, &set->has_size, &set->size);
    case MANIFEST_SUIT_P_URI:
        return dr_cbor_get_text(r, &set->uri) == DR_OK && set->uri.len != 0
                   ? DR_OK
                   : malformed(run, "a uri");
    case MANIFEST_SUIT_P_SOURCE:
        if (get_uint_param(run, r, &set->has_source, &source) == DR_OK &&
            source < run->s->m->component_count) {
            return DR_OK;
        }
        return malformed(run, "a source component");
    case MANIFEST_SUIT_P_INVOKE_ARGS:
    case MANIFEST_SUIT_P_FETCH_ARGS:
        return dr_cbor_get_bytes(r, &args) == DR_OK ? DR_OK : malformed(run, "arguments");
    default:
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "parameter %llu",
                             (unsigned long long)key);
    }
}

static void apply(struct params *to, const struct params *set)
{
    struct dr_bytes *const dst[] = {&to->vendor, &to->class_id, &to->device, &to->digest, &to->uri};
    const struct dr_bytes *const src[] = {&set->vendor, &set->class_id, &set->device, &set->digest,
                                          &set->uri};

    for (size_t i = 0; i < DR_ARRAY_LEN(dst); i++) {
        if (src[i]->len != 0) {
            *dst[i] = *src[i];
        }
    }
    if (set->has_size) {
        to->has_size = true;
        to->size = set->size;
    }
    if (set->has_slot) {
        to->has_slot = true;
        to->slot = set->slot;
    }
    to->has_source = to->has_source || set->has_source;
}

static dr_err_t do_override(struct run *run, struct dr_cbor *r)
{
    struct params set = {0};
    uint64_t pairs = 0;
    dr_err_t err = DR_OK;

    if (dr_cbor_get_map(r, &pairs) != DR_OK) {
        return malformed(run, "a parameter map");
    }
    for (uint64_t i = 0; err == DR_OK && i < pairs; i++) {
        err = get_param(run, r, &set);
    }
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_end(r) != DR_OK) {
        return malformed(run, "a parameter map");
    }
    for (uint32_t i = 0; i < run->s->m->component_count; i++) {
        if (selected(run, i)) {
            apply(&run->c[i], &set);
        }
    }
    return DR_OK;
}

/* ---- conditions ---- */

static dr_err_t missing(struct run *run, const char *command, const char *param)
{
    return manifest_fail(run->s, MANIFEST_CHECK_CONDITION, "%s without %s", command, param);
}

static dr_err_t check_identity(struct run *run, enum manifest_suit_command command)
{
    struct manifest *m = run->s->m;
    struct dr_bytes *all = command == MANIFEST_SUIT_COND_VENDOR  ? &m->vendor
                           : command == MANIFEST_SUIT_COND_CLASS ? &m->class_id
                                                                 : &m->device;

    if (run->depth > 1) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED,
                             "an identity condition inside of another sequence");
    }
    for (uint32_t i = 0; i < m->component_count; i++) {
        const struct params *c = &run->c[i];
        struct dr_bytes id = command == MANIFEST_SUIT_COND_VENDOR  ? c->vendor
                             : command == MANIFEST_SUIT_COND_CLASS ? c->class_id
                                                                   : c->device;
        if (!selected(run, i)) {
            continue;
        }
        if (id.len == 0) {
            return missing(run, "an identity condition", "its identifier");
        }
        if (all->len != 0 && !dr_bytes_eq(*all, id)) {
            return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED,
                                 "components with different identifiers");
        }
        *all = id;
    }
    return DR_OK;
}

static dr_err_t check_image(struct run *run)
{
    for (uint32_t i = 0; i < run->s->m->component_count; i++) {
        struct params *c = &run->c[i];
        if (!selected(run, i)) {
            continue;
        }
        if (c->digest.len == 0) {
            return missing(run, "image match", "a digest");
        }
        if (!c->written) {
            c->precursor = c->digest;
        }
    }
    return DR_OK;
}

static dr_err_t note_slot(struct run *run, uint64_t slot)
{
    for (uint32_t i = 0; i < run->tally->slot_count; i++) {
        if (run->tally->slots[i] == slot) {
            return DR_OK;
        }
    }
    if (run->tally->slot_count == SLOTS_MAX || slot > INT32_MAX) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "more than %d slots", SLOTS_MAX);
    }
    run->tally->slots[run->tally->slot_count++] = slot;
    return DR_OK;
}

static dr_err_t check_slot(struct run *run, bool *ret_pass)
{
    for (uint32_t i = 0; i < run->s->m->component_count; i++) {
        const struct params *c = &run->c[i];
        if (!selected(run, i)) {
            continue;
        }
        if (!c->has_slot) {
            return missing(run, "component slot", "a slot");
        }
        dr_err_t err = note_slot(run, c->slot);
        if (err != DR_OK) {
            return err;
        }
        if (run->slot >= 0 && c->slot != (uint64_t)run->slot) {
            *ret_pass = false;
        }
    }
    return DR_OK;
}

/* ---- directives ---- */

static dr_err_t do_set_index(struct run *run, struct dr_cbor *r)
{
    struct dr_cbor_item item;
    uint32_t count = run->s->m->component_count, mask = 0;
    uint64_t n = 1;

    if (dr_cbor_next(r, &item) != DR_OK || item.indefinite) {
        return malformed(run, "a component index");
    }
    if (item.type == DR_CBOR_BOOL && item.b) {
        run->selected = (1U << count) - 1;
        return DR_OK;
    }
    bool list = item.type == DR_CBOR_ARRAY;
    if (!list && item.type != DR_CBOR_UINT) {
        return malformed(run, "a component index");
    }
    for (n = list ? item.u : 1; n > 0; n--) {
        uint64_t index = item.u;
        if ((list && dr_cbor_get_uint(r, &index) != DR_OK) || index >= count) {
            return malformed(run, "a component index");
        }
        mask |= 1U << index;
    }
    if ((list && dr_cbor_get_end(r) != DR_OK) || mask == 0) {
        return malformed(run, "a component index");
    }
    run->selected = mask;
    return DR_OK;
}

/* A payload inside the envelope is compared at once. */
static dr_err_t check_integrated(struct run *run, const struct params *c)
{
    struct dr_bytes payload;
    uint8_t digest[MANIFEST_DIGEST_LEN];

    if (c->uri.p[0] != '#') {
        return DR_OK;
    }
    if (manifest_suit_integrated(run->s->in, c->uri, &payload) != DR_OK) {
        return manifest_fail(run->s, MANIFEST_CHECK_MALFORMED,
                             "the payload '%.*s' is not in the envelope",
                             (int)(c->uri.len < 64 ? c->uri.len : 64), (const char *)c->uri.p);
    }
    if (c->has_size && c->size != payload.len) {
        return manifest_fail(run->s, MANIFEST_CHECK_PAYLOAD_SIZE,
                             "the payload in the envelope has another size");
    }
    manifest_sha256(payload, digest);
    if (c->digest.len != 0 && memcmp(c->digest.p, digest, sizeof digest) != 0) {
        return manifest_fail(run->s, MANIFEST_CHECK_PAYLOAD_DIGEST,
                             "the payload in the envelope is not the one that was signed");
    }
    return DR_OK;
}

static dr_err_t add_image(struct run *run, uint32_t component, const struct params *c)
{
    struct manifest *m = run->s->m;
    struct manifest_image img = {.digest = c->digest,
                                 .has_size = c->has_size,
                                 .size = c->size,
                                 .uri = c->uri,
                                 .precursor = c->precursor,
                                 .component = component,
                                 .slot = run->slot};

    for (uint32_t i = 0; i < m->image_count; i++) {
        const struct manifest_image *old = &m->images[i];
        if (old->component == component && old->slot == img.slot &&
            dr_bytes_eq(old->uri, img.uri) && dr_bytes_eq(old->digest, img.digest)) {
            return DR_OK;
        }
    }
    if (m->image_count == MANIFEST_IMAGES_MAX) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "more than %d images",
                             MANIFEST_IMAGES_MAX);
    }
    m->images[m->image_count++] = img;
    return DR_OK;
}

static dr_err_t do_fetch(struct run *run)
{
    for (uint32_t i = 0; i < run->s->m->component_count; i++) {
        struct params *c = &run->c[i];
        if (!selected(run, i)) {
            continue;
        }
        if (c->uri.len == 0) {
            return missing(run, "fetch", "a uri");
        }
        dr_err_t err = check_integrated(run, c);
        if (err == DR_OK && run->live && run->record) {
            err = add_image(run, i, c);
        }
        if (err != DR_OK) {
            return err;
        }
        c->written = true;
    }
    return DR_OK;
}

static dr_err_t do_copy(struct run *run)
{
    for (uint32_t i = 0; i < run->s->m->component_count; i++) {
        if (selected(run, i) && !run->c[i].has_source) {
            return missing(run, "copy", "a source component");
        }
        run->c[i].written = run->c[i].written || selected(run, i);
    }
    return DR_OK;
}

/* The first alternative that passes is taken; all are walked, each from the state before. */
static dr_err_t do_try_each(struct run *run, struct dr_cbor *r, bool *ret_pass)
{
    struct run before = *run, taken = *run;
    uint32_t images = run->s->m->image_count;
    uint64_t count = 0;
    bool chosen = false;

    if (dr_cbor_get_array(r, &count) != DR_OK || count == 0) {
        return malformed(run, "try-each");
    }
    for (uint64_t i = 0; i < count; i++) {
        struct dr_cbor_item item;
        bool pass = true;
        if (dr_cbor_next(r, &item) != DR_OK || item.indefinite ||
            !(item.type == DR_CBOR_BYTES || (item.type == DR_CBOR_NULL && i + 1 == count))) {
            return malformed(run, "try-each");
        }
        *run = before;
        run->live = before.live && !chosen;
        dr_err_t err = item.type == DR_CBOR_NULL ? DR_OK : walk(run, item.s, false, &pass);
        if (err != DR_OK) {
            return err;
        }
        if (!chosen && pass) {
            chosen = true;
            taken = *run;
            images = run->s->m->image_count;
        } else {
            run->s->m->image_count = images;
        }
    }
    *run = taken;
    run->live = before.live;
    *ret_pass = *ret_pass && chosen;
    return dr_cbor_get_end(r) == DR_OK ? DR_OK : malformed(run, "try-each");
}

static dr_err_t do_run(struct run *run, struct dr_cbor *r, bool *ret_pass)
{
    struct dr_bytes code;

    if (dr_cbor_get_bytes(r, &code) != DR_OK) {
        return malformed(run, "run-sequence");
    }
    return walk(run, code, false, ret_pass);
}

/* Commands of SUIT and its extensions that this profile leaves out. */
static bool left_out(uint64_t command)
{
    static const uint8_t known[] = {4, 6, 7, 8, 11, 18, 19, 25, 26, 27, 28, 29, 31, 33, 34, 35};

    for (size_t i = 0; i < sizeof known; i++) {
        if (known[i] == command) {
            return true;
        }
    }
    return false;
}

static dr_err_t condition(struct run *run, uint64_t command, struct dr_cbor *r, bool *ret_pass)
{
    dr_err_t err = get_policy(run, r);

    if (err != DR_OK) {
        return err;
    }
    switch (command) {
    case MANIFEST_SUIT_COND_IMAGE:
        return check_image(run);
    case MANIFEST_SUIT_COND_SLOT:
        return check_slot(run, ret_pass);
    case MANIFEST_SUIT_ABORT:
        *ret_pass = false;
        return DR_OK;
    default:
        return check_identity(run, (enum manifest_suit_command)command);
    }
}

static dr_err_t directive(struct run *run, uint64_t command, struct dr_cbor *r)
{
    dr_err_t err = get_policy(run, r);

    if (err == DR_OK && run->shared) {
        err = manifest_fail(run->s, MANIFEST_CHECK_COMMAND,
                            "command %llu is not allowed in the shared sequence",
                            (unsigned long long)command);
    }
    if (err != DR_OK) {
        return err;
    }
    return command == MANIFEST_SUIT_DO_FETCH  ? do_fetch(run)
           : command == MANIFEST_SUIT_DO_COPY ? do_copy(run)
                                              : DR_OK;
}

static dr_err_t step(struct run *run, uint64_t command, struct dr_cbor *r, bool *ret_pass)
{
    switch (command) {
    case MANIFEST_SUIT_COND_VENDOR:
    case MANIFEST_SUIT_COND_CLASS:
    case MANIFEST_SUIT_COND_DEVICE:
    case MANIFEST_SUIT_COND_IMAGE:
    case MANIFEST_SUIT_COND_SLOT:
    case MANIFEST_SUIT_ABORT:
        return condition(run, command, r, ret_pass);
    case MANIFEST_SUIT_SET_INDEX:
        return do_set_index(run, r);
    case MANIFEST_SUIT_TRY_EACH:
        return do_try_each(run, r, ret_pass);
    case MANIFEST_SUIT_OVERRIDE:
        return do_override(run, r);
    case MANIFEST_SUIT_DO_FETCH:
    case MANIFEST_SUIT_DO_COPY:
    case MANIFEST_SUIT_DO_INVOKE:
        return directive(run, command, r);
    case MANIFEST_SUIT_RUN:
        return do_run(run, r, ret_pass);
    default:
        return manifest_fail(
            run->s, left_out(command) ? MANIFEST_CHECK_UNSUPPORTED : MANIFEST_CHECK_COMMAND,
            "command %llu", (unsigned long long)command);
    }
}

/* @p top: a sequence of the manifest itself, where components have to be selected first. */
static dr_err_t walk(struct run *run, struct dr_bytes code, bool top, bool *ret_pass)
{
    struct dr_cbor r;
    uint64_t count = 0, command = 0;
    bool live = run->live;
    dr_err_t err = DR_OK;

    if (++run->depth > DEPTH_MAX) {
        return manifest_fail(run->s, MANIFEST_CHECK_UNSUPPORTED, "sequences nested over %d deep",
                             DEPTH_MAX);
    }
    if (code.len == 0 || dr_cbor_check(code.p, code.len, DR_CBOR_CANONICAL) != DR_OK) {
        return malformed(run, "a command sequence");
    }
    dr_cbor_init(&r, code.p, code.len, DR_CBOR_CANONICAL);
    if (dr_cbor_get_array(&r, &count) != DR_OK || count == 0 || count % 2 != 0) {
        return malformed(run, "a command sequence");
    }
    for (uint64_t i = 0; err == DR_OK && i < count / 2; i++) {
        if (++run->tally->steps > STEPS_MAX) {
            return malformed(run, "a command sequence (too long)");
        }
        if (dr_cbor_get_uint(&r, &command) != DR_OK) {
            return manifest_fail(run->s, MANIFEST_CHECK_COMMAND, "a custom command");
        }
        if (top && i == 0 && run->s->m->component_count > 1 && command != MANIFEST_SUIT_SET_INDEX) {
            return manifest_fail(run->s, MANIFEST_CHECK_MALFORMED,
                                 "a sequence does not select a component first");
        }
        err = step(run, command, &r, ret_pass);
        run->live = run->live && *ret_pass;
    }
    run->live = live;
    run->depth--;
    return err;
}

/* One sequence of the manifest; a condition that cannot be met on its path is a fault. */
static dr_err_t run_top(struct run *run, struct dr_bytes code)
{
    bool pass = true;

    run->selected = 1;
    run->depth = 0;
    run->live = true;
    dr_err_t err = walk(run, code, true, &pass);
    if (err == DR_OK && !pass) {
        err = manifest_fail(run->s, MANIFEST_CHECK_CONDITION, "a sequence always fails");
    }
    return err;
}

static void forget(struct run *run)
{
    memset(run->c, 0, sizeof run->c);
}

static dr_err_t run_shared(struct run *run, struct dr_bytes shared)
{
    forget(run);
    run->shared = true;
    dr_err_t err = shared.len == 0 ? DR_OK : run_top(run, shared);
    run->shared = false;
    for (uint32_t i = 0; i < MANIFEST_COMPONENTS_MAX; i++) {
        run->c[i].precursor = (struct dr_bytes){0};
    }
    return err;
}

static dr_err_t run_all(struct run *run, struct dr_bytes shared,
                        const struct manifest_suit_sequence *phases, bool record)
{
    dr_err_t err = DR_OK;

    for (size_t i = 0; err == DR_OK && i < MANIFEST_SUIT_PHASES; i++) {
        if (phases[i].code.len == 0) {
            continue;
        }
        run->record = record && (phases[i].phase == MANIFEST_SUIT_FETCH ||
                                 phases[i].phase == MANIFEST_SUIT_INSTALL);
        err = run_shared(run, shared);
        if (err == DR_OK) {
            err = run_top(run, phases[i].code);
        }
    }
    return err;
}

/* Nothing is fetched: the images are those that the shared sequence describes. */
static dr_err_t describe(struct run *run, struct dr_bytes shared)
{
    dr_err_t err = run_shared(run, shared);

    for (uint32_t i = 0; err == DR_OK && i < run->s->m->component_count; i++) {
        if (run->c[i].digest.len != 0) {
            err = add_image(run, i, &run->c[i]);
        }
    }
    return err;
}

dr_err_t manifest_suit_run(struct manifest_scan *s, struct dr_bytes shared,
                           const struct manifest_suit_sequence *phases)
{
    struct tally tally = {0};
    struct run run = {.s = s, .tally = &tally, .slot = -1};

    dr_assert(s != NULL && phases != NULL);
    dr_err_t err = run_shared(&run, shared);
    if (err != DR_OK) {
        return err;
    }
    s->stage = MANIFEST_STAGE_FIELDS;
    err = run_all(&run, shared, phases, false);
    for (uint32_t i = 0; err == DR_OK && i < (tally.slot_count == 0 ? 1 : tally.slot_count); i++) {
        run.slot = tally.slot_count == 0 ? -1 : (int64_t)tally.slots[i];
        err = run_all(&run, shared, phases, true);
        if (err == DR_OK && s->m->image_count == 0) {
            err = describe(&run, shared);
        }
    }
    return err;
}
