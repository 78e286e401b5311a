/* SPDX-License-Identifier: Apache-2.0 */
/* The payload: fetch, go on after a reset, check, seal. */
#include "client/core/fw_priv.h"

#define RETRY_MS     1000
#define RETRY_MAX_MS 60000

static enum cl_result result_of(cl_err_t err)
{
    switch (err) {
    case CL_OK:
        return CL_RESULT_OK;
    case CL_ERR_AUTH:
        return CL_RESULT_SIGNATURE;
    case CL_ERR_OLD:
        return CL_RESULT_VERSION;
    case CL_ERR_SPACE:
        return CL_RESULT_SPACE;
    case CL_ERR_INVAL:
        return CL_RESULT_FORMAT;
    case CL_ERR_REFUSED:
        return CL_RESULT_PAYLOAD;
    default:
        return CL_RESULT_WRITE;
    }
}

void cl_fw_inst_begin(struct cl_fw *fw)
{
    cl_install_begin(&fw->inst, fw->conf.lay, fw->saved.slot);
    fw->inst.want_len = fw->saved.size;
    fw->inst.want_version = fw->saved.size != 0 ? fw->saved.version : 0;
    fw->begun = true;
}

/* From the first byte: the store must not say that some are there while they are erased. */
static cl_err_t start_over(struct cl_fw *fw)
{
    fw->saved.done = 0;
    fw->begun = false;
    return cl_fw_save(fw);
}

/* Go on behind what the store says is there, or from the start. */
static cl_err_t inst_take_up(struct cl_fw *fw)
{
    uint8_t raw[CL_HEADER_LEN];
    size_t len = 0;

    cl_fw_inst_begin(fw);
    if (fw->saved.done == 0) {
        return CL_OK;
    }
    if (cl_kvs_get(fw->conf.kvs, CL_FW_KEY_HEADER, raw, sizeof raw, &len, NULL) != CL_OK ||
        len != sizeof raw ||
        cl_install_resume(&fw->inst, fw->conf.trust, fw->floor, fw->version, raw, fw->saved.done) !=
            CL_OK) {
        cl_err_t err = start_over(fw);
        cl_fw_inst_begin(fw);
        return err;
    }
    return CL_OK;
}

/* From time to time the store learns how far it is. */
static cl_err_t note_progress(struct cl_fw *fw)
{
    uint32_t sector = fw->conf.lay->sector, done = fw->inst.done / sector * sector;

    if (fw->saved.origin == CL_FW_PUSH || fw->inst.done < CL_HEADER_LEN ||
        done < fw->saved.done + CL_FW_SAVE_SECTORS * sector) {
        return CL_OK;
    }
    cl_err_t err = CL_OK;
    if (fw->saved.done == 0) {
        err = cl_kvs_set(fw->conf.kvs, CL_FW_KEY_HEADER, fw->inst.raw, CL_HEADER_LEN, 0);
    }
    if (err == CL_OK) {
        fw->saved.done = done;
        err = cl_fw_save(fw);
    }
    return err;
}

cl_err_t cl_fw_take_bytes(struct cl_fw *fw, const uint8_t *data, size_t len)
{
    cl_err_t err = cl_install_write(&fw->inst, fw->conf.trust, fw->floor, fw->version, data, len);

    if (err == CL_ERR_SPACE && fw->inst.erased) {
        err = CL_ERR_REFUSED; /* more than the header says */
    }
    if (err == CL_OK) {
        err = note_progress(fw);
    }
    if (err != CL_OK) {
        cl_fw_fail(fw, result_of(err));
    }
    return err;
}

cl_err_t cl_fw_data(struct cl_fw *fw, uint32_t offset, const uint8_t *data, size_t len)
{
    if (fw->saved.state != CL_FW_DOWNLOADING || fw->failing || !fw->fetching ||
        offset != fw->inst.done) {
        return CL_ERR_STATE;
    }
    fw->got_bytes = fw->got_bytes || len > 0;
    return cl_fw_take_bytes(fw, data, len);
}

/* The image is in flash; is it the one that was signed? Then it gets its header. */
static enum cl_result seal(struct cl_fw *fw)
{
    uint8_t digest[CL_HASH_LEN];

    if (cl_install_digest(&fw->inst, digest) != CL_OK) {
        return CL_RESULT_PAYLOAD; /* too short */
    }
    if (fw->saved.size != 0 && memcmp(digest, fw->manifest.digest, CL_HASH_LEN) != 0 &&
        CL_RULE(CL_RULE_PAYLOAD_DIGEST)) {
        return CL_RESULT_PAYLOAD;
    }
    memcpy(fw->saved.digest, fw->inst.header.digest, CL_HASH_LEN);
    if (fw->saved.size == 0) {
        fw->saved.version = fw->inst.header.version;
    }
    cl_err_t err = CL_OK;
    if (fw->saved.version != fw->inst.header.version) { /* a downgrade keeps its manifest's name */
        uint8_t label[CL_FW_LABEL_LEN];
        memcpy(label, fw->saved.digest, CL_HASH_LEN);
        cl_put32(label + CL_HASH_LEN, fw->saved.version);
        err = cl_kvs_set(fw->conf.kvs, CL_FW_KEY_LABEL + (uint64_t)fw->saved.slot, label,
                         sizeof label, 0);
    }
    if (err == CL_OK) {
        err = cl_install_finish(&fw->inst);
    }
    return err == CL_ERR_AUTH ? CL_RESULT_PAYLOAD : result_of(err);
}

void cl_fw_downloaded(struct cl_fw *fw)
{
    enum cl_result res = seal(fw);

    fw->begun = false;
    if (res != CL_RESULT_OK) {
        cl_fw_fail(fw, res);
    } else {
        cl_fw_enter(fw, CL_FW_ASK_INSTALL);
    }
}

void cl_fw_fetched(struct cl_fw *fw, cl_err_t err)
{
    fw->fetching = false;
    fw->ops->kick(fw->ops->ctx);
    if (fw->failing || fw->saved.state != CL_FW_DOWNLOADING) {
        return;
    }
    if (err == CL_OK) {
        if (fw->got_bytes) {
            cl_fw_downloaded(fw);
        } else {
            cl_fw_fail(fw, CL_RESULT_FETCH); /* it ended where we are and that is not the end */
        }
        return;
    }
    if (err == CL_ERR_STATE && start_over(fw) != CL_OK) { /* another payload now */
        cl_fw_fail(fw, CL_RESULT_WRITE);
        return;
    }
    fw->failures = fw->got_bytes ? 1 : (uint8_t)(fw->failures + 1);
    if (err == CL_ERR_REFUSED || fw->failures >= CL_FW_FETCHES_MAX) {
        cl_fw_fail(fw, CL_RESULT_FETCH);
        return;
    }
    uint32_t wait = fw->failures < 7 ? RETRY_MS << (fw->failures - 1) : RETRY_MAX_MS;
    fw->retry_at_ms = fw->now_ms + wait;
}

uint32_t cl_fw_get(struct cl_fw *fw)
{
    if (fw->fetching || !fw->registered) {
        return CL_FW_NEVER;
    }
    if (fw->retry_at_ms > fw->now_ms) {
        return (uint32_t)(fw->retry_at_ms - fw->now_ms);
    }
    if (!fw->begun && inst_take_up(fw) != CL_OK) {
        cl_fw_fail(fw, CL_RESULT_WRITE);
        return 0;
    }
    if (fw->inst.erased && fw->inst.done == CL_HEADER_LEN + fw->inst.header.body_len) {
        cl_fw_downloaded(fw); /* the reset came just before the end */
        return 0;
    }
    const char *uri = cl_fw_by_manifest(fw) ? fw->manifest.uri : (const char *)fw->source;
    size_t uri_len = cl_fw_by_manifest(fw) ? fw->manifest.uri_len : fw->source_len;
    fw->got_bytes = false;
    fw->fetching = true;
    cl_err_t err = fw->ops->fetch(fw->ops->ctx, uri, uri_len, fw->inst.done);
    if (err == CL_OK) {
        return CL_FW_NEVER;
    }
    fw->fetching = false;
    if (err == CL_ERR_INVAL || err == CL_ERR_FORMAT) {
        cl_fw_fail_as(fw, CL_RESULT_URI, err == CL_ERR_FORMAT ? 9 : 7);
        return 0;
    }
    fw->retry_at_ms = fw->now_ms + RETRY_MS;
    return RETRY_MS;
}
