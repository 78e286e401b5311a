/* SPDX-License-Identifier: Apache-2.0 */
/* What the server sends: manifests, packages, addresses of packages. */
#include "client/core/fw_priv.h"

enum { OBJ_FIRMWARE = 5 };

cl_err_t cl_fw_manifest(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (cl_fw_busy(fw)) {
        return CL_OK;
    }
    if (len > CL_MANIFEST_MAX) {
        return CL_ERR_SPACE;
    }
    if (len == 0) {
        return CL_ERR_INVAL;
    }
    cl_fw_begin(fw, CL_FW_MANIFEST);
    memcpy(fw->source, in, len);
    fw->source_len = len;
    cl_err_t err = cl_kvs_set(fw->conf.kvs, CL_FW_KEY_SOURCE, in, len, 0);
    if (err == CL_OK) {
        fw->saved.state = CL_FW_CHECKING;
        err = cl_fw_save(fw);
    }
    if (err != CL_OK) {
        fw->saved.state = CL_FW_IDLE;
        return CL_ERR_IO;
    }
    fw->ops->kick(fw->ops->ctx);
    return CL_OK;
}

/* The server wants nothing of it any more. */
static cl_err_t forget(struct cl_fw *fw)
{
    if (cl_fw_by_manifest(fw) && cl_fw_busy(fw)) {
        return CL_ERR_STATE;
    }
    if (fw->saved.state >= CL_FW_INSTALLING) {
        return CL_ERR_STATE;
    }
    if (fw->fetching) {
        fw->ops->fetch_stop(fw->ops->ctx);
    }
    cl_fw_begin(fw, CL_FW_NOTHING);
    fw->failing = false;
    cl_fw_enter(fw, CL_FW_IDLE);
    fw->ops->changed(fw->ops->ctx, OBJ_FIRMWARE, 0, 5);
    return CL_OK;
}

/* Length of the manifest before a pushed image: all of it is in the first part. */
static enum cl_result push_manifest(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (len < 4 || in[0] != 0x30) {
        return CL_RESULT_OK; /* an image by itself */
    }
    size_t whole = in[1] == 0x82   ? 4 + ((size_t)in[2] << 8 | in[3])
                   : in[1] == 0x81 ? 3 + (size_t)in[2]
                                   : 2 + (size_t)in[1];
    if (whole > len || whole > CL_MANIFEST_MAX) {
        return CL_RESULT_MALFORMED;
    }
    memcpy(fw->source, in, whole);
    fw->source_len = whole;
    enum cl_result res = cl_fw_check(fw);
    if (res == CL_RESULT_OK) {
        fw->saved.size = fw->manifest.size;
        fw->saved.version = fw->manifest.version;
        fw->push_skip = (uint32_t)whole;
    }
    return res;
}

static cl_err_t push_begin(struct cl_fw *fw, const uint8_t *in, size_t len)
{
    if (cl_fw_busy(fw) &&
        !(fw->saved.origin == CL_FW_PUSH && fw->saved.state == CL_FW_DOWNLOADING && !fw->failing)) {
        return CL_ERR_STATE;
    }
    cl_fw_begin(fw, CL_FW_PUSH);
    fw->part_end = 0;
    fw->push_skip = 0;
    cl_fw_enter(fw, CL_FW_DOWNLOADING);
    if (fw->failing) {
        return CL_ERR_IO;
    }
    enum cl_result res = push_manifest(fw, in, len);
    if (res != CL_RESULT_OK) {
        cl_fw_fail(fw, res);
        return CL_ERR_INVAL;
    }
    cl_fw_inst_begin(fw);
    return CL_OK;
}

cl_err_t cl_fw_package(struct cl_fw *fw, size_t offset, const uint8_t *in, size_t len, bool last)
{
    if (offset == 0 && last && (len == 0 || (len == 1 && in[0] == 0))) {
        return forget(fw);
    }
    if (offset == 0) {
        cl_err_t err = push_begin(fw, in, len);
        if (err != CL_OK) {
            return err;
        }
        in += fw->push_skip;
        len -= fw->push_skip;
        fw->part_end = fw->push_skip;
    }
    if (fw->saved.origin != CL_FW_PUSH || fw->saved.state != CL_FW_DOWNLOADING || fw->failing ||
        !fw->begun || (offset != 0 && offset != fw->part_end)) {
        return CL_ERR_STATE;
    }
    cl_err_t err = cl_fw_take_bytes(fw, in, len);
    if (err != CL_OK) {
        return err;
    }
    fw->part_end += len;
    if (last) {
        cl_fw_downloaded(fw);
    }
    return fw->failing ? CL_ERR_INVAL : CL_OK;
}

cl_err_t cl_fw_package_uri(struct cl_fw *fw, const char *uri, size_t len)
{
    if (len == 0) {
        return forget(fw);
    }
    if (len > CL_PAYLOAD_URI_MAX) {
        return CL_ERR_SPACE;
    }
    if (cl_fw_busy(fw)) {
        return CL_ERR_STATE;
    }
    cl_fw_begin(fw, CL_FW_PULL);
    memcpy(fw->source, uri, len);
    fw->source_len = len;
    if (cl_kvs_set(fw->conf.kvs, CL_FW_KEY_SOURCE, uri, len, 0) != CL_OK) {
        return CL_ERR_IO;
    }
    cl_fw_enter(fw, CL_FW_ASK_DOWNLOAD);
    return fw->failing ? CL_ERR_IO : CL_OK;
}

cl_err_t cl_fw_update(struct cl_fw *fw)
{
    if (cl_fw_by_manifest(fw) || fw->saved.state != CL_FW_ASK_INSTALL || fw->failing) {
        return CL_ERR_DENIED;
    }
    cl_fw_enter(fw, CL_FW_INSTALLING);
    return fw->failing ? CL_ERR_IO : CL_OK;
}
