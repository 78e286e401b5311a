/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On flash (little endian):
 *   area   = "DKV1" | seq u32 | ~seq u32 | crc32 of the 12 bytes | record...   header is written
 * last record = id u64 | len u16 | flags u16 | crc32 of the 12 bytes and data | data, filled up
 * with 0xff e.g. id 1 = "A": 01 00 00 00 00 00 00 00  01 00  00 00  <crc>  41 ff ff ff ff ff ff ff
 * The last record of an id counts; flag 0x8000 says that it is removed.
 */
#include "client/core/kvs.h"

#include "client/hal.h"

#define AREA_MAGIC   0x31564b44u
#define HEAD_LEN     16u
#define FLAG_REMOVED 0x8000u

struct record {
    uint64_t id;
    uint16_t len, flags;
    uint32_t at; /* offset of its header in the area */
};

static uint32_t crc32_more(uint32_t crc, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return crc;
}

static uint32_t padded(uint32_t len)
{
    return (len + HAL_FLASH_UNIT - 1) / HAL_FLASH_UNIT * HAL_FLASH_UNIT;
}

static uint32_t area_addr(const struct cl_kvs *kvs, unsigned area)
{
    return kvs->base + area * kvs->area_size;
}

static bool area_read_head(const struct cl_kvs *kvs, unsigned area, uint32_t *ret_seq)
{
    uint8_t head[HEAD_LEN];

    if (!hal_flash_read(area_addr(kvs, area), head, sizeof head) || cl_get32(head) != AREA_MAGIC ||
        cl_get32(head + 4) != ~cl_get32(head + 8) ||
        cl_get32(head + 12) != crc32_more(~0u, head, 12)) {
        return false;
    }
    *ret_seq = cl_get32(head + 4);
    return true;
}

static bool area_write_head(const struct cl_kvs *kvs, unsigned area, uint32_t seq)
{
    uint8_t head[HEAD_LEN];

    cl_put32(head, AREA_MAGIC);
    cl_put32(head + 4, seq);
    cl_put32(head + 8, ~seq);
    cl_put32(head + 12, crc32_more(~0u, head, 12));
    return hal_flash_program(area_addr(kvs, area), head, sizeof head);
}

static bool area_erase(const struct cl_kvs *kvs, unsigned area)
{
    struct hal_flash geo;

    hal_flash_geometry(&geo);
    for (uint32_t at = 0; at < kvs->area_size; at += geo.sector) {
        if (!hal_flash_erase(area_addr(kvs, area) + at)) {
            return false;
        }
    }
    return true;
}

/* The record at offset at. CL_ERR_NOENT: the log ends cleanly here. CL_ERR_INVAL: torn. */
static cl_err_t record_read(const struct cl_kvs *kvs, uint32_t at, struct record *ret)
{
    uint8_t head[HEAD_LEN], data[64];
    uint32_t addr = area_addr(kvs, kvs->active);

    if (at + HEAD_LEN > kvs->area_size) {
        return CL_ERR_NOENT;
    }
    if (!hal_flash_read(addr + at, head, sizeof head)) {
        return CL_ERR_IO;
    }
    if (cl_blank(head, sizeof head)) {
        return CL_ERR_NOENT;
    }
    struct record rec = {cl_get64(head), cl_get16(head + 8), cl_get16(head + 10), at};
    if (rec.len > CL_KVS_VALUE_MAX || at + HEAD_LEN + padded(rec.len) > kvs->area_size) {
        return CL_ERR_INVAL;
    }
    uint32_t crc = crc32_more(~0u, head, 12);
    for (uint32_t done = 0; done < rec.len; done += (uint32_t)sizeof data) {
        uint32_t n = rec.len - done < sizeof data ? rec.len - done : (uint32_t)sizeof data;
        if (!hal_flash_read(addr + at + HEAD_LEN + done, data, n)) {
            return CL_ERR_IO;
        }
        crc = crc32_more(crc, data, n);
    }
    if (crc != cl_get32(head + 12)) {
        return CL_ERR_INVAL;
    }
    *ret = rec;
    return CL_OK;
}

static uint32_t record_end(const struct record *rec)
{
    return rec->at + HEAD_LEN + padded(rec->len);
}

/* The record of id that counts, removed ones included. */
static cl_err_t record_find(const struct cl_kvs *kvs, uint64_t id, struct record *ret)
{
    struct record rec;
    bool found = false;

    for (uint32_t at = HEAD_LEN; at < kvs->tail; at = record_end(&rec)) {
        cl_err_t err = record_read(kvs, at, &rec);
        if (err != CL_OK) {
            return err;
        }
        if (rec.id == id) {
            *ret = rec;
            found = true;
        }
    }
    return found ? CL_OK : CL_ERR_NOENT;
}

cl_err_t cl_kvs_open(struct cl_kvs *kvs, uint32_t base, uint32_t area_size)
{
    struct hal_flash geo;
    uint32_t seq[2] = {0, 0};
    struct record rec;

    hal_flash_geometry(&geo);
    if (area_size == 0 || area_size % geo.sector != 0 || base > geo.size ||
        geo.size - base < 2 * area_size) {
        return CL_ERR_INVAL;
    }
    *kvs = (struct cl_kvs){.base = base, .area_size = area_size};
    bool valid[2] = {area_read_head(kvs, 0, &seq[0]), area_read_head(kvs, 1, &seq[1])};
    if (!valid[0] && !valid[1]) {
        if (!area_erase(kvs, 0) || !area_write_head(kvs, 0, 1)) {
            return CL_ERR_IO;
        }
        valid[0] = true;
        seq[0] = 1;
    }
    kvs->active =
        valid[1] && (!valid[0] || (CL_RULE(CL_RULE_STORE_NEWEST) && cl_later(seq[1], seq[0])));
    kvs->seq = seq[kvs->active];

    cl_err_t err = CL_OK;
    for (kvs->tail = HEAD_LEN; err == CL_OK; kvs->tail = record_end(&rec)) {
        err = record_read(kvs, kvs->tail, &rec);
        if (err != CL_OK) {
            break;
        }
    }
    kvs->dirty = err == CL_ERR_INVAL && CL_RULE(CL_RULE_STORE_TAIL);
    return err == CL_ERR_IO ? CL_ERR_IO : CL_OK;
}

cl_err_t cl_kvs_get(const struct cl_kvs *kvs, uint64_t id, void *buf, size_t cap, size_t *ret_len,
                    uint16_t *ret_flags)
{
    struct record rec;
    cl_err_t err = record_find(kvs, id, &rec);

    if (err == CL_OK && (rec.flags & FLAG_REMOVED) != 0) {
        err = CL_ERR_NOENT;
    }
    if (err != CL_OK) {
        return err;
    }
    size_t n = rec.len < cap ? rec.len : cap;
    if (n > 0 && !hal_flash_read(area_addr(kvs, kvs->active) + rec.at + HEAD_LEN, buf, n)) {
        return CL_ERR_IO;
    }
    *ret_len = rec.len;
    if (ret_flags != NULL) {
        *ret_flags = rec.flags;
    }
    return CL_OK;
}

static bool record_write(uint32_t addr, uint64_t id, const uint8_t *data, uint16_t len,
                         uint16_t flags)
{
    uint8_t buf[HEAD_LEN + CL_KVS_VALUE_MAX + HAL_FLASH_UNIT];

    memset(buf, 0xff, sizeof buf);
    cl_put64(buf, id);
    cl_put16(buf + 8, len);
    cl_put16(buf + 10, flags);
    if (len > 0) {
        memcpy(buf + HEAD_LEN, data, len);
    }
    cl_put32(buf + 12, crc32_more(crc32_more(~0u, buf, 12), data, len));
    return hal_flash_program(addr, buf, HEAD_LEN + padded(len));
}

/* Copy what counts, except id, into the other area with room for one more record; its header last.
 */
static cl_err_t compact(struct cl_kvs *kvs, uint64_t id, const uint8_t *data, uint16_t len,
                        uint16_t flags)
{
    uint8_t value[CL_KVS_VALUE_MAX];
    unsigned to = 1u - kvs->active;
    uint32_t tail = HEAD_LEN, seq = kvs->seq + 1, need = HEAD_LEN + padded(len);
    struct record rec, last;

    for (int pass = 0; pass < 2; pass++) { /* the first only measures */
        uint32_t out = HEAD_LEN;
        if (pass == 1) {
            if (!area_erase(kvs, to) ||
                (!CL_RULE(CL_RULE_STORE_COMMIT) && !area_write_head(kvs, to, seq))) {
                return CL_ERR_IO;
            }
        }
        for (uint32_t at = HEAD_LEN; at < kvs->tail; at = record_end(&rec)) {
            cl_err_t err = record_read(kvs, at, &rec);
            if (err == CL_OK) {
                err = record_find(kvs, rec.id, &last);
            }
            if (err != CL_OK) {
                return CL_ERR_IO;
            }
            if (rec.id == id || last.at != at || (rec.flags & FLAG_REMOVED) != 0) {
                continue;
            }
            if (pass == 1 &&
                (!hal_flash_read(area_addr(kvs, kvs->active) + at + HEAD_LEN, value, rec.len) ||
                 !record_write(area_addr(kvs, to) + out, rec.id, value, rec.len, rec.flags))) {
                return CL_ERR_IO;
            }
            out += HEAD_LEN + padded(rec.len);
        }
        if (out + need > kvs->area_size) {
            return CL_ERR_SPACE;
        }
        tail = out;
    }
    if ((flags & FLAG_REMOVED) == 0) {
        if (!record_write(area_addr(kvs, to) + tail, id, data, len, flags)) {
            return CL_ERR_IO;
        }
        tail += need;
    }
    if (CL_RULE(CL_RULE_STORE_COMMIT) && !area_write_head(kvs, to, seq)) {
        return CL_ERR_IO;
    }
    kvs->active = (uint8_t)to;
    kvs->seq = seq;
    kvs->tail = tail;
    kvs->dirty = false;
    return CL_OK;
}

static cl_err_t append(struct cl_kvs *kvs, uint64_t id, const uint8_t *data, uint16_t len,
                       uint16_t flags)
{
    uint32_t need = HEAD_LEN + padded(len);

    if (kvs->dirty || kvs->tail + need > kvs->area_size) {
        return compact(kvs, id, data, len, flags);
    }
    kvs->dirty = true; /* should the write fail half-way */
    if (!record_write(area_addr(kvs, kvs->active) + kvs->tail, id, data, len, flags)) {
        return CL_ERR_IO;
    }
    kvs->dirty = false;
    kvs->tail += need;
    return CL_OK;
}

cl_err_t cl_kvs_set(struct cl_kvs *kvs, uint64_t id, const void *data, size_t len, uint16_t flags)
{
    struct record rec;

    if (len > CL_KVS_VALUE_MAX) {
        return CL_ERR_SPACE;
    }
    cl_err_t err = record_find(kvs, id, &rec);
    if (err == CL_OK && (rec.flags & FLAG_REMOVED) == 0 && (rec.flags & CL_KVS_WRITE_ONCE) != 0) {
        return CL_ERR_DENIED;
    }
    if (err == CL_ERR_IO || err == CL_ERR_INVAL) {
        return CL_ERR_IO;
    }
    return append(kvs, id, data, (uint16_t)len, flags & CL_KVS_WRITE_ONCE);
}

cl_err_t cl_kvs_remove(struct cl_kvs *kvs, uint64_t id)
{
    struct record rec;
    cl_err_t err = record_find(kvs, id, &rec);

    if (err == CL_OK && (rec.flags & FLAG_REMOVED) != 0) {
        err = CL_ERR_NOENT;
    }
    if (err != CL_OK) {
        return err;
    }
    if ((rec.flags & CL_KVS_WRITE_ONCE) != 0) {
        return CL_ERR_DENIED;
    }
    return append(kvs, id, NULL, 0, FLAG_REMOVED);
}
