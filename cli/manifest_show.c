/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *mt_format_name(enum manifest_format format)
{
    return format == MANIFEST_V1 ? "v1" : format == MANIFEST_V3 ? "v3" : "suit";
}

static const char *payload_format_name(enum manifest_payload_format format)
{
    switch (format) {
    case MANIFEST_PAYLOAD_RAW:
        return "raw-binary";
    case MANIFEST_PAYLOAD_DELTA:
        return "arm-patch-stream";
    case MANIFEST_PAYLOAD_COMBINED:
        return "combined";
    case MANIFEST_PAYLOAD_ENCRYPTED_RAW:
        return "encrypted-raw";
    case MANIFEST_PAYLOAD_ENCRYPTED_COMBINED:
        return "encrypted-combined";
    default:
        return "none";
    }
}

json_t *mt_hex(struct dr_bytes b)
{
    char *text = malloc(DR_HEX_LEN(b.len) + 1);
    json_t *out = NULL;

    if (text != NULL) {
        dr_hex_encode(b.p, b.len, text);
        out = json_string(text);
        free(text);
    }
    return out;
}

json_t *mt_string(struct dr_bytes b)
{
    json_t *out = dr_utf8_valid(b.p, b.len) ? json_stringn((const char *)b.p, b.len) : NULL;

    return out != NULL ? out : mt_hex(b);
}

static void set_hex(json_t *o, const char *key, struct dr_bytes b)
{
    if (b.len != 0) {
        (void)json_object_set_new(o, key, mt_hex(b));
    }
}

static void set_text(json_t *o, const char *key, struct dr_bytes b)
{
    if (b.len != 0) {
        (void)json_object_set_new(o, key, mt_string(b));
    }
}

static void set_number(json_t *o, const char *key, uint64_t v)
{
    char text[32];

    if (v <= INT64_MAX) {
        (void)json_object_set_new(o, key, json_integer((json_int_t)v));
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64, v);
        (void)json_object_set_new(o, key, json_string(text));
    }
}

static void set_id(json_t *o, const char *key, struct dr_bytes b)
{
    char text[MANIFEST_ID_TEXT_LEN + 1];

    if (b.len == MANIFEST_ID_LEN) {
        manifest_id_format(b.p, text);
        (void)json_object_set_new(o, key, json_string(text));
    }
}

static json_t *image_json(const struct manifest *m, const struct manifest_image *img)
{
    json_t *o = json_object();

    set_hex(o, "digest", img->digest);
    if (img->has_size) {
        set_number(o, "size", img->size);
    }
    set_text(o, "uri", img->uri);
    set_hex(o, "precursor_digest", img->precursor);
    if (m->format == MANIFEST_SUIT) {
        set_number(o, "component", img->component);
        if (img->slot >= 0) {
            set_number(o, "slot", (uint64_t)img->slot);
        }
    } else {
        (void)json_object_set_new(o, "format", json_string(payload_format_name(m->payload_format)));
    }
    return o;
}

static json_t *signature_json(const struct manifest_signature *sig)
{
    json_t *o = json_object();

    set_hex(o, "signature", sig->sig);
    set_hex(o, "fingerprint", sig->fingerprint);
    set_text(o, "certificate_uri", sig->cert_uri);
    set_hex(o, "key_id", sig->key_id);
    if (sig->alg != 0) {
        (void)json_object_set_new(o, "algorithm", json_integer(sig->alg));
    }
    return o;
}

static void set_v1(json_t *o, const struct manifest *m)
{
    set_number(o, "encryption_mode", m->mode);
    set_hex(o, "nonce", m->nonce);
    set_hex(o, "hash", m->hash);
    set_text(o, "storage_identifier", m->storage_id);
    set_text(o, "payload_version", m->payload_version);
    (void)json_object_set_new(o, "apply_immediately", json_boolean(m->apply_immediately));
    if (m->has_apply_period) {
        json_t *period = json_object();
        set_number(period, "valid_from", m->valid_from);
        set_number(period, "valid_to", m->valid_to);
        (void)json_object_set_new(o, "apply_period", period);
    }
    set_number(o, "aliases", m->alias_count);
    set_number(o, "dependencies", m->dependency_count);
}

static void set_suit(json_t *o, const struct manifest *m)
{
    json_t *components = json_array();

    for (uint32_t i = 0; i < m->component_count; i++) {
        (void)json_array_append_new(components, mt_hex(m->components[i]));
    }
    (void)json_object_set_new(o, "components", components);
    set_hex(o, "manifest_digest", m->manifest_digest);
    set_text(o, "reference_uri", m->reference_uri);
    (void)json_object_set_new(o, "install_severed", json_boolean(m->install_severed));
    (void)json_object_set_new(o, "text_severed", json_boolean(m->text_severed));
    (void)json_object_set_new(o, "invoke", json_boolean(m->has_invoke));
    set_number(o, "integrated_payloads", m->integrated_count);
}

json_t *mt_manifest_json(const struct manifest *m)
{
    json_t *o = json_object(), *images = json_array(), *signatures = json_array();

    (void)json_object_set_new(o, "format", json_string(mt_format_name(m->format)));
    set_number(o, "size", m->whole.len);
    set_id(o, "vendor_id", m->vendor);
    set_id(o, "class_id", m->class_id);
    set_id(o, "device_id", m->device);
    set_number(o, "version", m->version);
    set_text(o, "version_text", m->version_text);
    set_text(o, "component", m->component);
    if (m->has_priority) {
        set_number(o, "priority", m->priority);
    }
    set_text(o, "description", m->description);
    set_hex(o, "vendor_data", m->vendor_data);
    for (uint32_t i = 0; i < m->image_count; i++) {
        (void)json_array_append_new(images, image_json(m, &m->images[i]));
    }
    (void)json_object_set_new(o, "payloads", images);
    if (m->has_installed) {
        set_number(o, "installed_size", m->installed_size);
        set_hex(o, "installed_digest", m->installed_digest);
    }
    set_hex(o, "installed_signature", m->installed_signature);
    if (m->payload_key.len != 0) { /* the key itself is a secret */
        (void)json_object_set_new(o, "has_payload_key", json_true());
    }
    if (m->format == MANIFEST_V1) {
        set_v1(o, m);
    } else if (m->format == MANIFEST_SUIT) {
        set_suit(o, m);
    }
    for (uint32_t i = 0; i < m->signature_count; i++) {
        (void)json_array_append_new(signatures, signature_json(&m->signatures[i]));
    }
    (void)json_object_set_new(o, "signatures", signatures);
    return o;
}

void mt_summary(const struct manifest *m, char *buf, size_t cap)
{
    struct dr_wr wr = dr_wr_of(buf, cap - 1);
    const struct manifest_image *img = &m->images[0];

    dr_wr_printf(&wr, "%s", mt_format_name(m->format));
    if (m->format == MANIFEST_V3) {
        dr_wr_printf(&wr, " version %.*s component %.*s", (int)m->version_text.len,
                     (const char *)m->version_text.p, (int)m->component.len,
                     (const char *)m->component.p);
    } else {
        dr_wr_printf(&wr, " %s %" PRIu64,
                     m->format == MANIFEST_V1 ? "timestamp" : "sequence number", m->version);
    }
    if (m->image_count != 0 && img->has_size) {
        dr_wr_printf(&wr, " payload of %" PRIu64 " octets", img->size);
    }
    if (m->image_count > 1) {
        dr_wr_printf(&wr, " and %u more", m->image_count - 1);
    }
    *wr.p = '\0';
}
