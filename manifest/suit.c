/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope  107({ 2: bstr authentication, 3: bstr manifest, ? 16 / 20 / 23: bstr severed member,
 *           * tstr: bstr integrated payload })
 * authentication  [ bstr digest, * bstr COSE_Sign1 ]       digest  [ -16, bstr (32) ]
 * COSE_Sign1      18([ bstr { 1: alg }, { ? 4: key id }, nil, bstr (64) ])
 * manifest  { 1: 1, 2: sequence number, 3: bstr { 2: [ + [ * bstr ] ], ? 4: bstr sequence },
 *           ? 4: tstr, ? 7 / 8 / 9: bstr sequence, ? 16 / 20: bstr sequence or digest,
 *           ? 23: bstr text or digest }
 * example   D8 6B A2 02 58 73 82 58 24 82 2F 58 20 <digest> 58 4A D2 84 43 A1 01 28 A0 F6 58 40 ..
 * Digests are over a bstr with its head; the signature is over the digest array without one.
 */
#include "base/cbor.h"
#include "base/text.h"
#include "manifest/manifest_priv.h"

#define TAG_ENVELOPE 107
#define TAG_SIGN1    18
#define KEY_AUTH     2
#define KEY_MANIFEST 3
#define PROT_MAX     64 /* octets of a protected header */
#define SUIT_VERSION 1

static dr_err_t malformed(struct manifest_scan *s, const char *what)
{
    return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%s is missing or malformed", what);
}

/* A reader over octets that are exactly one item in deterministic encoding. */
static dr_err_t open_item(struct manifest_scan *s, struct dr_bytes in, const char *what,
                          struct dr_cbor *ret)
{
    if (in.len == 0 || dr_cbor_check(in.p, in.len, DR_CBOR_CANONICAL) != DR_OK) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "%s is not deterministic CBOR", what);
    }
    dr_cbor_init(ret, in.p, in.len, DR_CBOR_CANONICAL);
    return DR_OK;
}

/* The next byte string: its content, and with its head. */
static dr_err_t get_bstr(struct dr_cbor *r, struct dr_bytes in, struct dr_bytes *ret,
                         struct dr_bytes *ret_whole)
{
    size_t from = dr_cbor_pos(r);

    dr_err_t err = dr_cbor_get_bytes(r, ret);
    if (err == DR_OK && ret_whole != NULL) {
        *ret_whole = dr_bytes_of(in.p + from, dr_cbor_pos(r) - from);
    }
    return err;
}

dr_err_t manifest_suit_digest(struct manifest_scan *s, struct dr_bytes in, struct dr_bytes *ret)
{
    struct dr_cbor r;
    struct dr_bytes digest;
    uint64_t count = 0;
    int64_t alg = 0;

    dr_err_t err = open_item(s, in, "digest", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_array(&r, &count) != DR_OK || count != 2 ||
        dr_cbor_get_int(&r, &alg) != DR_OK) {
        return malformed(s, "digest");
    }
    if (alg != MANIFEST_SUIT_SHA256) {
        return manifest_fail(s, MANIFEST_CHECK_DIGEST_ALGORITHM,
                             "digest algorithm %lld, known is -16", (long long)alg);
    }
    if (dr_cbor_get_bytes(&r, &digest) != DR_OK || digest.len != MANIFEST_DIGEST_LEN) {
        return manifest_fail(s, MANIFEST_CHECK_DIGEST_LENGTH, "a SHA-256 digest has 32 octets");
    }
    *ret = digest;
    return DR_OK;
}

/* Protected header: algorithm, and nothing else but a key id. */
static dr_err_t get_protected(struct manifest_scan *s, struct manifest_signature *sig)
{
    struct dr_cbor r;
    uint64_t pairs = 0;

    dr_err_t err = open_item(s, sig->prot, "protected header", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_map(&r, &pairs) != DR_OK || sig->prot.len > PROT_MAX) {
        return malformed(s, "protected header");
    }
    for (uint64_t i = 0; i < pairs; i++) {
        int64_t key = 0;
        bool good = dr_cbor_get_int(&r, &key) == DR_OK;
        if (good && key == 1) {
            good = dr_cbor_get_int(&r, &sig->alg) == DR_OK;
        } else if (good && key == 4) {
            good = dr_cbor_get_bytes(&r, &sig->key_id) == DR_OK;
        } else {
            good = false;
        }
        if (!good) {
            return malformed(s, "protected header");
        }
    }
    return DR_OK;
}

/* Unprotected header: a key id is taken, all else is read over. */
static dr_err_t get_unprotected(struct manifest_scan *s, struct dr_cbor *r,
                                struct manifest_signature *sig)
{
    uint64_t pairs = 0;

    if (dr_cbor_get_map(r, &pairs) != DR_OK) {
        return malformed(s, "unprotected header");
    }
    for (uint64_t i = 0; i < pairs; i++) {
        struct dr_cbor_item key;
        dr_err_t err = dr_cbor_next(r, &key);
        if (err == DR_OK && key.type == DR_CBOR_UINT && key.u == 4) {
            err = dr_cbor_get_bytes(r, &sig->key_id);
        } else if (err == DR_OK && (key.type == DR_CBOR_UINT || key.type == DR_CBOR_NINT ||
                                    key.type == DR_CBOR_TEXT)) {
            err = dr_cbor_skip(r);
        } else {
            err = DR_ERR_PROTO;
        }
        if (err != DR_OK) {
            return malformed(s, "unprotected header");
        }
    }
    return dr_cbor_get_end(r) == DR_OK ? DR_OK : malformed(s, "unprotected header");
}

static dr_err_t get_block(struct manifest_scan *s, struct dr_bytes in)
{
    struct manifest *m = s->m;
    struct dr_cbor r;
    struct dr_cbor_item payload;
    uint64_t tag = 0, count = 0;

    if (m->signature_count == MANIFEST_SIGNATURES_MAX) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "more than %d authentication blocks",
                             MANIFEST_SIGNATURES_MAX);
    }
    struct manifest_signature *sig = &m->signatures[m->signature_count++];
    dr_err_t err = open_item(s, in, "authentication block", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_tag(&r, &tag) != DR_OK) {
        return malformed(s, "authentication block");
    }
    if (tag != TAG_SIGN1) {
        return DR_OK; /* alg stays 0: of a profile that is not ours */
    }
    if (dr_cbor_get_array(&r, &count) != DR_OK || count != 4 ||
        dr_cbor_get_bytes(&r, &sig->prot) != DR_OK) {
        return malformed(s, "COSE_Sign1");
    }
    err = get_protected(s, sig);
    if (err == DR_OK) {
        err = get_unprotected(s, &r, sig);
    }
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_next(&r, &payload) != DR_OK || payload.type != DR_CBOR_NULL) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "COSE payload is not detached");
    }
    return dr_cbor_get_bytes(&r, &sig->sig) == DR_OK ? DR_OK : malformed(s, "COSE signature");
}

static dr_err_t get_authentication(struct manifest_scan *s, struct dr_bytes in)
{
    struct dr_cbor r;
    uint64_t count = 0;

    dr_err_t err = open_item(s, in, "authentication wrapper", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_array(&r, &count) != DR_OK || count < 1 ||
        dr_cbor_get_bytes(&r, &s->digest_array) != DR_OK) {
        return malformed(s, "authentication wrapper");
    }
    err = manifest_suit_digest(s, s->digest_array, &s->m->manifest_digest);
    s->m->digest_alg = MANIFEST_SUIT_SHA256;
    for (uint64_t i = 1; err == DR_OK && i < count; i++) {
        struct dr_bytes block;
        err = dr_cbor_get_bytes(&r, &block) == DR_OK ? get_block(s, block)
                                                     : malformed(s, "authentication block");
    }
    return err;
}

static bool severable(uint64_t key)
{
    return key == MANIFEST_SUIT_FETCH || key == MANIFEST_SUIT_INSTALL || key == MANIFEST_SUIT_TEXT;
}

static dr_err_t get_member(struct manifest_scan *s, struct dr_cbor *r)
{
    struct dr_cbor_item key;
    struct dr_bytes value, whole;

    if (dr_cbor_next(r, &key) != DR_OK || get_bstr(r, s->in, &value, &whole) != DR_OK) {
        return malformed(s, "envelope member");
    }
    if (key.type == DR_CBOR_TEXT && key.s.len != 0) {
        s->m->integrated_count++;
        return DR_OK;
    }
    if (key.type != DR_CBOR_UINT) {
        return malformed(s, "envelope key");
    }
    if (key.u == KEY_AUTH) {
        return get_authentication(s, value);
    }
    if (key.u == KEY_MANIFEST) {
        s->m->signed_part = whole;
        s->body = value;
        return DR_OK;
    }
    return severable(key.u)
               ? DR_OK
               : manifest_fail(s, MANIFEST_CHECK_UNSUPPORTED,
                               "envelope member %llu is not supported", (unsigned long long)key.u);
}

static dr_err_t outer(struct manifest_scan *s)
{
    struct dr_cbor r;
    uint64_t tag = 0, pairs = 0;

    s->stage = MANIFEST_STAGE_OUTER;
    dr_err_t err = open_item(s, s->in, "the envelope", &r);
    if (err != DR_OK) {
        return err;
    }
    s->m->whole = s->in;
    if (dr_cbor_get_tag(&r, &tag) != DR_OK || tag != TAG_ENVELOPE ||
        dr_cbor_get_map(&r, &pairs) != DR_OK) {
        return manifest_fail(s, MANIFEST_CHECK_MALFORMED, "no envelope with the tag 107");
    }
    for (uint64_t i = 0; err == DR_OK && i < pairs; i++) {
        err = get_member(s, &r);
    }
    if (err == DR_OK && s->digest_array.len == 0) {
        err = manifest_fail(s, MANIFEST_CHECK_UNAUTHENTICATED, "no authentication wrapper");
    }
    if (err == DR_OK && s->body.len == 0) {
        err = malformed(s, "manifest");
    }
    return err;
}

/* Sig_structure of RFC 9052 with the digest array as the payload. spec: RFC9052#4.4 */
static size_t sig_structure(const struct manifest_scan *s, struct dr_bytes prot, uint8_t *buf,
                            size_t cap)
{
    struct dr_wr wr = dr_wr_of(buf, cap);

    dr_cbor_put_array(&wr, 4);
    dr_cbor_put_str(&wr, "Signature1");
    dr_cbor_put_bytes(&wr, prot.p, prot.len);
    dr_cbor_put_bytes(&wr, NULL, 0);
    dr_cbor_put_bytes(&wr, s->digest_array.p, s->digest_array.len);
    dr_assert(dr_wr_ok(&wr));
    return dr_wr_len(&wr);
}

static dr_err_t authenticate(struct manifest_scan *s, const struct manifest_means *means)
{
    const struct manifest *m = s->m;
    uint8_t digest[MANIFEST_DIGEST_LEN], tbs[256];
    bool known_alg = false;

    manifest_sha256(m->signed_part, digest);
    if (!dr_ct_equal(digest, m->manifest_digest.p, sizeof digest)) {
        return manifest_fail(s, MANIFEST_CHECK_DIGEST,
                             "the digest in the envelope is not that of the manifest");
    }
    if (m->signature_count == 0) {
        return manifest_fail(s, MANIFEST_CHECK_UNAUTHENTICATED, "no authentication block");
    }
    for (uint32_t i = 0; i < m->signature_count; i++) {
        const struct manifest_signature *sig = &m->signatures[i];
        if (sig->alg != MANIFEST_ES256 && sig->alg != MANIFEST_ESP256) {
            continue;
        }
        known_alg = true;
        size_t len = sig_structure(s, sig->prot, tbs, sizeof tbs);
        if (sig->sig.len == MANIFEST_SIG_LEN &&
            manifest_any_key(means, dr_bytes_of(tbs, len), sig->sig)) {
            return DR_OK;
        }
    }
    return known_alg ? manifest_fail(s, MANIFEST_CHECK_SIGNATURE, "by none of the trusted keys")
                     : manifest_fail(s, MANIFEST_CHECK_ALGORITHM,
                                     "no authentication block with ES256 or ESP256");
}

/* Walk the envelope (whose form outer() has checked) to a member. */
static dr_err_t find_member(struct dr_bytes envelope, bool is_text, uint64_t number,
                            struct dr_bytes name, struct dr_bytes *ret, struct dr_bytes *ret_whole)
{
    struct dr_cbor r;
    uint64_t tag = 0, pairs = 0;

    dr_cbor_init(&r, envelope.p, envelope.len, DR_CBOR_CANONICAL);
    dr_err_t err = dr_cbor_get_tag(&r, &tag);
    if (err == DR_OK) {
        err = dr_cbor_get_map(&r, &pairs);
    }
    for (uint64_t i = 0; err == DR_OK && i < pairs; i++) {
        struct dr_cbor_item key = {0};
        err = dr_cbor_next(&r, &key);
        if (err == DR_OK) {
            err = get_bstr(&r, envelope, ret, ret_whole);
        }
        bool here = is_text ? key.type == DR_CBOR_TEXT && dr_bytes_eq(key.s, name)
                            : key.type == DR_CBOR_UINT && key.u == number;
        if (err == DR_OK && here) {
            return DR_OK;
        }
    }
    return err == DR_OK ? DR_ERR_NOT_FOUND : err;
}

dr_err_t manifest_suit_integrated(struct dr_bytes envelope, struct dr_bytes name,
                                  struct dr_bytes *ret)
{
    struct dr_bytes value;

    dr_assert(ret != NULL);
    dr_err_t err = find_member(envelope, true, 0, name, &value, NULL);
    if (err == DR_OK) {
        *ret = value;
    }
    return err;
}

/* A severable member: inline, or a digest of the one in the envelope. Absent: *ret is empty. */
static dr_err_t get_severable(struct manifest_scan *s, struct dr_cbor *r, uint64_t key,
                              struct dr_bytes *ret, bool *ret_severed)
{
    struct dr_cbor_item item;
    struct dr_bytes digest, value, whole;
    uint8_t got[MANIFEST_DIGEST_LEN];

    size_t from = dr_cbor_pos(r);
    if (dr_cbor_next(r, &item) != DR_OK || item.indefinite) {
        return malformed(s, "severable member");
    }
    if (item.type == DR_CBOR_BYTES) {
        *ret = item.s;
        return DR_OK;
    }
    if (item.type != DR_CBOR_ARRAY || dr_cbor_skip_rest(r, &item) != DR_OK) {
        return malformed(s, "severable member");
    }
    *ret_severed = true;
    dr_err_t err =
        manifest_suit_digest(s, dr_bytes_of(s->body.p + from, dr_cbor_pos(r) - from), &digest);
    if (err != DR_OK) {
        return err;
    }
    if (find_member(s->in, false, key, (struct dr_bytes){0}, &value, &whole) != DR_OK) {
        return key == MANIFEST_SUIT_TEXT
                   ? DR_OK
                   : manifest_fail(s, MANIFEST_CHECK_SEVERED,
                                   "member %llu was severed and is not in the envelope",
                                   (unsigned long long)key);
    }
    manifest_sha256(whole, got);
    if (!dr_ct_equal(got, digest.p, sizeof got)) {
        return manifest_fail(s, MANIFEST_CHECK_SEVERED, "member %llu is not what was signed",
                             (unsigned long long)key);
    }
    *ret = value;
    return DR_OK;
}

/* The first manifest description of the text map. */
static dr_err_t get_text(struct manifest_scan *s, struct dr_bytes in)
{
    struct dr_cbor r;
    struct dr_cbor_item key;
    uint64_t langs = 0, pairs = 0;

    s->m->has_text = true;
    dr_err_t err = open_item(s, in, "text", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_map(&r, &langs) != DR_OK) {
        return malformed(s, "text");
    }
    for (uint64_t l = 0; l < langs; l++) {
        struct dr_bytes lang;
        if (dr_cbor_get_text(&r, &lang) != DR_OK || dr_cbor_get_map(&r, &pairs) != DR_OK) {
            return malformed(s, "text");
        }
        for (uint64_t i = 0; i < pairs; i++) {
            if (dr_cbor_next(&r, &key) != DR_OK || dr_cbor_skip_rest(&r, &key) != DR_OK) {
                return malformed(s, "text");
            }
            bool take = key.type == DR_CBOR_UINT && key.u == 1 && s->m->description.len == 0;
            if ((take ? dr_cbor_get_text(&r, &s->m->description) : dr_cbor_skip(&r)) != DR_OK) {
                return malformed(s, "text");
            }
        }
        if (dr_cbor_get_end(&r) != DR_OK) {
            return malformed(s, "text");
        }
    }
    return DR_OK;
}

static dr_err_t get_components(struct manifest_scan *s, struct dr_cbor *r, struct dr_bytes common)
{
    struct manifest *m = s->m;
    uint64_t count = 0, parts = 0;

    if (dr_cbor_get_array(r, &count) != DR_OK || count == 0) {
        return malformed(s, "component list");
    }
    if (count > MANIFEST_COMPONENTS_MAX) {
        return manifest_fail(s, MANIFEST_CHECK_UNSUPPORTED, "more than %d components",
                             MANIFEST_COMPONENTS_MAX);
    }
    for (uint64_t i = 0; i < count; i++) {
        size_t from = dr_cbor_pos(r);
        dr_err_t err = dr_cbor_get_array(r, &parts);
        for (uint64_t p = 0; err == DR_OK && p < parts; p++) {
            struct dr_bytes part;
            err = dr_cbor_get_bytes(r, &part);
        }
        size_t to = dr_cbor_pos(r);
        if (err != DR_OK || dr_cbor_get_end(r) != DR_OK) {
            return malformed(s, "component identifier");
        }
        m->components[m->component_count++] = dr_bytes_of(common.p + from, to - from);
    }
    return dr_cbor_get_end(r) == DR_OK ? DR_OK : malformed(s, "component list");
}

static dr_err_t get_common(struct manifest_scan *s, struct dr_bytes in, struct dr_bytes *ret_shared)
{
    struct dr_cbor r;
    uint64_t pairs = 0, key = 0;

    dr_err_t err = open_item(s, in, "common", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_map(&r, &pairs) != DR_OK) {
        return malformed(s, "common");
    }
    for (uint64_t i = 0; err == DR_OK && i < pairs; i++) {
        if (dr_cbor_get_uint(&r, &key) != DR_OK) {
            return malformed(s, "common");
        }
        if (key == 2) {
            err = get_components(s, &r, in);
        } else if (key == 4) {
            err = dr_cbor_get_bytes(&r, ret_shared) == DR_OK ? DR_OK
                                                             : malformed(s, "shared sequence");
        } else {
            err = manifest_fail(s, MANIFEST_CHECK_UNSUPPORTED, "member %llu of common",
                                (unsigned long long)key);
        }
    }
    if (err == DR_OK && s->m->component_count == 0) {
        err = malformed(s, "component list");
    }
    return err;
}

/* What the members of the manifest map are collected in. */
struct members {
    uint64_t version;
    bool has_version, has_sequence;
    struct dr_bytes common, text;
    struct manifest_suit_sequence phases[MANIFEST_SUIT_PHASES];
};

static struct dr_bytes *phase_of(struct members *all, uint64_t key)
{
    for (size_t i = 0; i < MANIFEST_SUIT_PHASES; i++) {
        if ((uint64_t)all->phases[i].phase == key) {
            return &all->phases[i].code;
        }
    }
    return NULL;
}

static dr_err_t get_manifest_member(struct manifest_scan *s, struct dr_cbor *r, uint64_t key,
                                    struct members *all)
{
    struct manifest *m = s->m;
    bool severed = false;
    dr_err_t err = DR_OK;

    switch (key) {
    case 1:
        all->has_version = true;
        return dr_cbor_get_uint(r, &all->version) == DR_OK ? DR_OK : malformed(s, "version");
    case 2:
        all->has_sequence = true;
        return dr_cbor_get_uint(r, &m->version) == DR_OK ? DR_OK : malformed(s, "sequence number");
    case 3:
        return dr_cbor_get_bytes(r, &all->common) == DR_OK ? DR_OK : malformed(s, "common");
    case 4:
        return dr_cbor_get_text(r, &m->reference_uri) == DR_OK ? DR_OK
                                                               : malformed(s, "reference uri");
    case MANIFEST_SUIT_VALIDATE:
    case MANIFEST_SUIT_LOAD:
    case MANIFEST_SUIT_INVOKE:
        m->has_invoke = m->has_invoke || key == MANIFEST_SUIT_INVOKE;
        return dr_cbor_get_bytes(r, phase_of(all, key)) == DR_OK ? DR_OK : malformed(s, "sequence");
    case MANIFEST_SUIT_FETCH:
    case MANIFEST_SUIT_INSTALL:
        err = get_severable(s, r, key, phase_of(all, key), &severed);
        m->install_severed = m->install_severed || severed;
        return err;
    case MANIFEST_SUIT_TEXT:
        return get_severable(s, r, key, &all->text, &m->text_severed);
    default:
        return manifest_fail(s, MANIFEST_CHECK_UNSUPPORTED, "manifest member %llu",
                             (unsigned long long)key);
    }
}

static dr_err_t get_members(struct manifest_scan *s, struct members *all)
{
    struct dr_cbor r;
    uint64_t pairs = 0, key = 0;

    dr_err_t err = open_item(s, s->body, "the manifest", &r);
    if (err != DR_OK) {
        return err;
    }
    if (dr_cbor_get_map(&r, &pairs) != DR_OK) {
        return malformed(s, "manifest");
    }
    for (uint64_t i = 0; err == DR_OK && i < pairs; i++) {
        if (dr_cbor_get_uint(&r, &key) != DR_OK) {
            return malformed(s, "manifest key");
        }
        err = get_manifest_member(s, &r, key, all);
        if (err == DR_OK && all->has_version && all->version != SUIT_VERSION) {
            err = manifest_fail(s, MANIFEST_CHECK_VERSION, "manifest version %llu, known is 1",
                                (unsigned long long)all->version);
        }
    }
    if (err == DR_OK && (!all->has_version || !all->has_sequence || all->common.len == 0)) {
        err = malformed(s, "version, sequence number or common");
    }
    return err;
}

static dr_err_t inner(struct manifest_scan *s)
{
    struct members all = {.phases = {{.phase = MANIFEST_SUIT_FETCH},
                                     {.phase = MANIFEST_SUIT_INSTALL},
                                     {.phase = MANIFEST_SUIT_VALIDATE},
                                     {.phase = MANIFEST_SUIT_LOAD},
                                     {.phase = MANIFEST_SUIT_INVOKE}}};
    struct dr_bytes shared = {0};

    s->stage = MANIFEST_STAGE_IDENTITY;
    dr_err_t err = get_members(s, &all);
    if (err == DR_OK) {
        err = get_common(s, all.common, &shared);
    }
    if (err == DR_OK && all.text.len != 0) {
        err = get_text(s, all.text);
    }
    if (err == DR_OK) {
        err = manifest_suit_run(s, shared, all.phases);
    }
    return err;
}

/* ---- build ---- */

/* Head of a byte string whose length is not known yet; bstr_end() makes room for it. */
static size_t bstr_begin(struct dr_wr *wr)
{
    return dr_wr_len(wr);
}

static void bstr_end(struct dr_wr *wr, size_t mark)
{
    uint8_t head[9];
    struct dr_wr h = dr_wr_of(head, sizeof head);

    if (!dr_wr_ok(wr)) {
        return;
    }
    size_t len = dr_wr_len(wr) - mark;
    dr_cbor_put_uint(&h, len);
    head[0] |= 0x40;
    size_t n = dr_wr_len(&h);
    if (dr_wr_reserve(wr, n) == NULL) {
        return;
    }
    memmove(wr->start + mark + n, wr->start + mark, len);
    memcpy(wr->start + mark, head, n);
}

static void put_digest(struct dr_wr *wr, const uint8_t *digest)
{
    dr_cbor_put_array(wr, 2);
    dr_cbor_put_int(wr, MANIFEST_SUIT_SHA256);
    dr_cbor_put_bytes(wr, digest, MANIFEST_DIGEST_LEN);
}

static void put_param_digest(struct dr_wr *wr, const uint8_t *digest)
{
    dr_cbor_put_uint(wr, MANIFEST_SUIT_P_DIGEST);
    size_t mark = bstr_begin(wr);
    put_digest(wr, digest);
    bstr_end(wr, mark);
}

/* Command and reporting policy (or another uint). */
static void put_command(struct dr_wr *wr, enum manifest_suit_command command, uint64_t arg)
{
    dr_cbor_put_uint(wr, command);
    dr_cbor_put_uint(wr, arg);
}

static void put_param_image(struct dr_wr *wr, const struct manifest_image *img)
{
    put_param_digest(wr, img->digest.p);
    dr_cbor_put_uint(wr, MANIFEST_SUIT_P_SIZE);
    dr_cbor_put_uint(wr, img->size);
}

static void put_param_uri(struct dr_wr *wr, const struct manifest_image *img)
{
    dr_cbor_put_uint(wr, MANIFEST_SUIT_P_URI);
    dr_cbor_put_text(wr, (const char *)img->uri.p, img->uri.len);
}

/* try-each with one alternative a slot; @p uri says which parameters. */
static void put_slots(struct dr_wr *wr, const struct manifest *m, bool uri)
{
    dr_cbor_put_uint(wr, MANIFEST_SUIT_TRY_EACH);
    dr_cbor_put_array(wr, m->image_count);
    for (uint32_t i = 0; i < m->image_count; i++) {
        size_t mark = bstr_begin(wr);
        dr_cbor_put_array(wr, 6);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        dr_cbor_put_map(wr, 1);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_P_SLOT);
        dr_cbor_put_uint(wr, (uint64_t)m->images[i].slot);
        put_command(wr, MANIFEST_SUIT_COND_SLOT, 5);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        if (uri) {
            dr_cbor_put_map(wr, 1);
            put_param_uri(wr, &m->images[i]);
        } else {
            dr_cbor_put_map(wr, 2);
            put_param_image(wr, &m->images[i]);
        }
        bstr_end(wr, mark);
    }
}

static bool has_slots(const struct manifest *m)
{
    return m->images[0].slot >= 0;
}

static void put_shared(struct dr_wr *wr, const struct manifest *m)
{
    bool slots = has_slots(m), device = m->device.len != 0;
    bool image = !slots && m->images[0].precursor.len == 0;

    dr_cbor_put_array(wr, 6U + (slots ? 2U : 0) + (device ? 2U : 0));
    dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
    dr_cbor_put_map(wr, 2U + (image ? 2U : 0) + (device ? 1U : 0));
    dr_cbor_put_uint(wr, MANIFEST_SUIT_P_VENDOR);
    dr_cbor_put_bytes(wr, m->vendor.p, m->vendor.len);
    dr_cbor_put_uint(wr, MANIFEST_SUIT_P_CLASS);
    dr_cbor_put_bytes(wr, m->class_id.p, m->class_id.len);
    if (image) {
        put_param_image(wr, &m->images[0]);
    }
    if (device) {
        dr_cbor_put_uint(wr, MANIFEST_SUIT_P_DEVICE);
        dr_cbor_put_bytes(wr, m->device.p, m->device.len);
    }
    if (slots) {
        put_slots(wr, m, false);
    }
    put_command(wr, MANIFEST_SUIT_COND_VENDOR, 15);
    put_command(wr, MANIFEST_SUIT_COND_CLASS, 15);
    if (device) {
        put_command(wr, MANIFEST_SUIT_COND_DEVICE, 15);
    }
}

static void put_install(struct dr_wr *wr, const struct manifest *m)
{
    const struct manifest_image *img = &m->images[0];

    if (has_slots(m)) {
        dr_cbor_put_array(wr, 6);
        put_slots(wr, m, true);
    } else if (img->precursor.len != 0) {
        dr_cbor_put_array(wr, 10);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        dr_cbor_put_map(wr, img->precursor_size != 0 ? 2 : 1);
        put_param_digest(wr, img->precursor.p);
        if (img->precursor_size != 0) {
            dr_cbor_put_uint(wr, MANIFEST_SUIT_P_SIZE);
            dr_cbor_put_uint(wr, img->precursor_size);
        }
        put_command(wr, MANIFEST_SUIT_COND_IMAGE, 15);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        dr_cbor_put_map(wr, 3);
        put_param_image(wr, img);
        put_param_uri(wr, img);
    } else {
        dr_cbor_put_array(wr, 6);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        dr_cbor_put_map(wr, 1);
        put_param_uri(wr, img);
    }
    put_command(wr, MANIFEST_SUIT_DO_FETCH, 2);
    put_command(wr, MANIFEST_SUIT_COND_IMAGE, 15);
}

static void put_validate(struct dr_wr *wr, const struct manifest *m)
{
    if (m->images[0].precursor.len != 0) {
        dr_cbor_put_array(wr, 4);
        dr_cbor_put_uint(wr, MANIFEST_SUIT_OVERRIDE);
        dr_cbor_put_map(wr, 2);
        put_param_image(wr, &m->images[0]);
    } else {
        dr_cbor_put_array(wr, 2);
    }
    put_command(wr, MANIFEST_SUIT_COND_IMAGE, 15);
}

static void put_text(struct dr_wr *wr, const struct manifest *m)
{
    dr_cbor_put_map(wr, 1);
    dr_cbor_put_str(wr, "en");
    dr_cbor_put_map(wr, 1);
    dr_cbor_put_uint(wr, 1);
    dr_cbor_put_text(wr, (const char *)m->description.p, m->description.len);
}

static void put_common(struct dr_wr *wr, const struct manifest *m)
{
    dr_cbor_put_uint(wr, 3);
    size_t common = bstr_begin(wr);
    dr_cbor_put_map(wr, 2);
    dr_cbor_put_uint(wr, 2);
    dr_cbor_put_array(wr, 1);
    if (m->component_count != 0) {
        dr_wr_put_bytes(wr, m->components[0]);
    } else {
        dr_cbor_put_array(wr, 1);
        dr_cbor_put_bytes(wr, "\0", 1);
    }
    dr_cbor_put_uint(wr, 4);
    size_t shared = bstr_begin(wr);
    put_shared(wr, m);
    bstr_end(wr, shared);
    bstr_end(wr, common);
}

/* A severable member as bstr into @p out; in the manifest goes its digest, or itself. */
static void put_severable(struct dr_wr *wr, uint64_t key, struct dr_bytes bstr, bool sever)
{
    uint8_t digest[MANIFEST_DIGEST_LEN];

    dr_cbor_put_uint(wr, key);
    if (sever) {
        manifest_sha256(bstr, digest);
        put_digest(wr, digest);
    } else {
        dr_wr_put_bytes(wr, bstr);
    }
}

/* The manifest map; @p install and @p text are members as byte strings with their heads. */
static void put_manifest(struct dr_wr *wr, const struct manifest *m, struct dr_bytes install,
                         struct dr_bytes text)
{
    bool ref = m->reference_uri.len != 0, has_text = text.len != 0;

    dr_cbor_put_map(wr, 5U + (ref ? 1U : 0) + (m->has_invoke ? 1U : 0) + (has_text ? 1U : 0));
    dr_cbor_put_uint(wr, 1);
    dr_cbor_put_uint(wr, SUIT_VERSION);
    dr_cbor_put_uint(wr, 2);
    dr_cbor_put_uint(wr, m->version);
    put_common(wr, m);
    if (ref) {
        dr_cbor_put_uint(wr, 4);
        dr_cbor_put_text(wr, (const char *)m->reference_uri.p, m->reference_uri.len);
    }
    dr_cbor_put_uint(wr, MANIFEST_SUIT_VALIDATE);
    size_t validate = bstr_begin(wr);
    put_validate(wr, m);
    bstr_end(wr, validate);
    if (m->has_invoke) {
        dr_cbor_put_uint(wr, MANIFEST_SUIT_INVOKE);
        size_t invoke = bstr_begin(wr);
        dr_cbor_put_array(wr, 2);
        put_command(wr, MANIFEST_SUIT_DO_INVOKE, 2);
        bstr_end(wr, invoke);
    }
    put_severable(wr, MANIFEST_SUIT_INSTALL, install, m->install_severed);
    if (has_text) {
        put_severable(wr, MANIFEST_SUIT_TEXT, text, true);
    }
}

static dr_err_t put_authentication(struct dr_wr *wr, struct dr_bytes manifest,
                                   const struct manifest_signer *signer, enum manifest_alg alg)
{
    uint8_t digest[MANIFEST_DIGEST_LEN], array[48], prot[8], tbs[256], sig[MANIFEST_SIG_LEN];
    struct dr_wr a = dr_wr_of(array, sizeof array), p = dr_wr_of(prot, sizeof prot);

    manifest_sha256(manifest, digest);
    put_digest(&a, digest);
    dr_cbor_put_map(&p, 1);
    dr_cbor_put_uint(&p, 1);
    dr_cbor_put_int(&p, alg);
    struct manifest_scan s = {.digest_array = dr_wr_bytes(&a)};
    size_t len = sig_structure(&s, dr_wr_bytes(&p), tbs, sizeof tbs);
    dr_err_t err = signer->sign(signer->data, dr_bytes_of(tbs, len), sig);
    if (err != DR_OK) {
        return err;
    }
    dr_cbor_put_uint(wr, KEY_AUTH);
    size_t wrapper = bstr_begin(wr);
    dr_cbor_put_array(wr, 2);
    dr_cbor_put_bytes(wr, array, dr_wr_len(&a));
    size_t block = bstr_begin(wr);
    dr_cbor_put_tag(wr, TAG_SIGN1);
    dr_cbor_put_array(wr, 4);
    dr_cbor_put_bytes(wr, prot, dr_wr_len(&p));
    dr_cbor_put_map(wr, 0);
    dr_cbor_put_null(wr);
    dr_cbor_put_bytes(wr, sig, sizeof sig);
    bstr_end(wr, block);
    bstr_end(wr, wrapper);
    return DR_OK;
}

/* Members are built behind each other in the free end of the buffer, then moved to their place. */
static dr_err_t build(const struct manifest *m, const struct manifest_signer *signer,
                      enum manifest_alg alg, struct dr_wr *wr)
{
    struct dr_wr parts =
        dr_wr_of(wr->start + (wr->end - wr->start) / 2,
                 (size_t)(wr->end - wr->start) - (size_t)(wr->end - wr->start) / 2);

    wr->end = parts.start;
    size_t at = bstr_begin(&parts);
    put_install(&parts, m);
    bstr_end(&parts, at);
    struct dr_bytes install = dr_wr_bytes(&parts), text = {0};
    at = bstr_begin(&parts);
    if (m->description.len != 0) {
        put_text(&parts, m);
        bstr_end(&parts, at);
        text = dr_bytes_of(parts.start + at, dr_wr_len(&parts) - at);
    }
    at = bstr_begin(&parts);
    put_manifest(&parts, m, install, text);
    bstr_end(&parts, at);
    if (!dr_wr_ok(&parts)) {
        return DR_ERR_NOSPACE;
    }
    struct dr_bytes manifest = dr_bytes_of(parts.start + at, dr_wr_len(&parts) - at);
    dr_cbor_put_tag(wr, TAG_ENVELOPE);
    dr_cbor_put_map(wr, 2U + (m->install_severed ? 1U : 0) + (text.len != 0 ? 1U : 0));
    dr_err_t err = put_authentication(wr, manifest, signer, alg);
    if (err != DR_OK) {
        return err;
    }
    dr_cbor_put_uint(wr, KEY_MANIFEST);
    dr_wr_put_bytes(wr, manifest);
    if (m->install_severed) {
        dr_cbor_put_uint(wr, MANIFEST_SUIT_INSTALL);
        dr_wr_put_bytes(wr, install);
    }
    if (text.len != 0) {
        dr_cbor_put_uint(wr, MANIFEST_SUIT_TEXT);
        dr_wr_put_bytes(wr, text);
    }
    return DR_OK;
}

const struct manifest_codec manifest_codec_suit = {
    .outer = outer, .inner = inner, .authenticate = authenticate, .build = build};
