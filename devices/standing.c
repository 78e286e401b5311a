/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/standing.h"

/*
 * Form 1, then for each observation, big endian: path 8 | token 2.
 * State of the firmware update (10252/0/2, aobs="10"):
 *   01 | 280d 0001 0003 0000 | 000a        (path as lwm2m_path_pack() makes it)
 */
#define FORM  1
#define ENTRY 10

size_t dev_standing_write(const struct dev_standing *list, size_t n,
                          uint8_t out[DEV_STANDING_BYTES_MAX])
{
    dr_assert((list != NULL || n == 0) && out != NULL);
    struct dr_wr wr = dr_wr_of(out, DEV_STANDING_BYTES_MAX);

    dr_wr_u8(&wr, FORM);
    for (size_t i = 0; i < n && i < DEV_STANDING_MAX; i++) {
        dr_wr_u64(&wr, list[i].path);
        dr_wr_u16(&wr, list[i].token);
    }
    return dr_wr_len(&wr);
}

dr_err_t dev_standing_read(struct dr_bytes in, struct dev_standing ret[DEV_STANDING_MAX],
                           size_t *ret_n)
{
    dr_assert(ret != NULL && ret_n != NULL);
    size_t n = in.len == 0 ? 0 : (in.len - 1) / ENTRY;

    if (in.len != 0 &&
        (in.p[0] != FORM || (in.len - 1) % ENTRY != 0 || in.len > DEV_STANDING_BYTES_MAX)) {
        return DR_ERR_CORRUPT;
    }
    struct dr_rd rd = dr_rd_of(in.p, in.len);
    if (in.len != 0) {
        (void)dr_rd_u8(&rd);
    }
    for (size_t i = 0; i < n; i++) {
        ret[i].path = dr_rd_u64(&rd);
        ret[i].token = dr_rd_u16(&rd);
    }
    *ret_n = n;
    return DR_OK;
}
