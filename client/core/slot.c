/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot:  header (512 bytes) | body | ... | trailer (the last sector).
 * Header, little endian: "DIM1" | 512 u32 | load_addr u32 | body_len u32 | version u32 | counter
 * u32 | flags u32 | 0 u32 | SHA-256 of the body, 32 | key id, 8 | zeros up to 448 | ES256 r || s
 * over the 448 bytes before it. A version a.b.c is a << 20 | b << 10 | c. Trailer, one unit a flag:
 * PENDING (sequence u32, its complement), TRIED 0..2, CONFIRMED, REJECTED.
 */
#include "client/core/slot.h"

#define HEADER_MAGIC  0x314d4944u
#define HEADER_SIGNED 448
#define FLAG_WORD     0x9a3c5e71u

static uint32_t slot_addr(const struct cl_layout *lay, int slot)
{
    return (uint32_t)slot * lay->slot_size;
}

static uint32_t trailer_addr(const struct cl_layout *lay, int slot)
{
    return slot_addr(lay, slot) + lay->slot_size - lay->sector;
}

#define STORE_AREA_MIN 8192u

static uint32_t store_area(uint32_t sector)
{
    return sector >= STORE_AREA_MIN ? sector : STORE_AREA_MIN / sector * sector;
}

uint32_t cl_layout_need(uint32_t slot_size, uint32_t sector)
{
    return 2 * slot_size + 2 * store_area(sector);
}

cl_err_t cl_layout_init(uint32_t slot_size, struct cl_layout *ret)
{
    struct hal_flash geo;

    hal_flash_geometry(&geo);
    if (slot_size > UINT32_MAX / 4 || slot_size % geo.sector != 0 || slot_size < 2 * geo.sector ||
        geo.sector < CL_HEADER_LEN || cl_layout_need(slot_size, geo.sector) > geo.size) {
        return CL_ERR_INVAL;
    }
    *ret = (struct cl_layout){.slot_size = slot_size,
                              .store_base = 2 * slot_size,
                              .store_area = store_area(geo.sector),
                              .sector = geo.sector};
    return CL_OK;
}

cl_err_t cl_header_check(const struct cl_layout *lay, const struct cl_trust *trust,
                         const uint8_t raw[CL_HEADER_LEN], struct cl_header *ret)
{
    uint8_t hash[CL_HASH_LEN];
    struct cl_header h = {.load_addr = cl_get32(raw + 8),
                          .body_len = cl_get32(raw + 12),
                          .version = cl_get32(raw + 16),
                          .counter = cl_get32(raw + 20),
                          .flags = cl_get32(raw + 24)};

    if (cl_get32(raw) != HEADER_MAGIC || cl_get32(raw + 4) != CL_HEADER_LEN) {
        return CL_ERR_INVAL;
    }
    if (h.body_len == 0 || h.body_len > lay->slot_size - lay->sector - CL_HEADER_LEN) {
        return CL_ERR_SPACE;
    }
    cl_sha256(raw, HEADER_SIGNED, hash);
    if (CL_RULE(CL_RULE_SIGNATURE) && !trust->verify(trust, hash, raw + HEADER_SIGNED)) {
        return CL_ERR_AUTH;
    }
    memcpy(h.digest, raw + 32, sizeof h.digest);
    memcpy(h.key_id, raw + 64, sizeof h.key_id);
    *ret = h;
    return CL_OK;
}

static bool body_matches(const struct cl_layout *lay, int slot, const struct cl_header *h)
{
    uint8_t hash[CL_HASH_LEN];

    return cl_sha256_flash(slot_addr(lay, slot) + CL_HEADER_LEN, h->body_len, hash) == CL_OK &&
           memcmp(hash, h->digest, sizeof hash) == 0;
}

void cl_slot_read(const struct cl_layout *lay, const struct cl_trust *trust, int slot,
                  struct cl_slot_state *ret)
{
    uint8_t raw[CL_HEADER_LEN], flags[(CL_FLAG_REJECTED + 1) * HAL_FLASH_UNIT];

    *ret = (struct cl_slot_state){0};
    if (!hal_flash_read(slot_addr(lay, slot), raw, sizeof raw) ||
        !hal_flash_read(trailer_addr(lay, slot), flags, sizeof flags) ||
        cl_header_check(lay, trust, raw, &ret->header) != CL_OK ||
        (CL_RULE(CL_RULE_DIGEST) && !body_matches(lay, slot, &ret->header))) {
        return;
    }
    ret->valid = true;
    ret->seq = cl_get32(flags);
    ret->pending = ret->seq == ~cl_get32(flags + 4);
    for (unsigned i = 0; i < CL_TRIES_MAX; i++) {
        if (!cl_blank(flags + (CL_FLAG_TRIED + i) * HAL_FLASH_UNIT, HAL_FLASH_UNIT)) {
            ret->tries++;
        }
    }
    /* a cut in the write of a flag leaves any bits but never comes without its reason: a torn one
     * is set */
    const uint8_t *confirmed = flags + CL_FLAG_CONFIRMED * HAL_FLASH_UNIT;
    ret->confirmed = CL_RULE(CL_RULE_TORN_CONFIRM) ? !cl_blank(confirmed, HAL_FLASH_UNIT)
                                                   : cl_get32(confirmed) == FLAG_WORD &&
                                                         cl_get32(confirmed + 4) == ~FLAG_WORD;
    ret->rejected = !cl_blank(flags + CL_FLAG_REJECTED * HAL_FLASH_UNIT, HAL_FLASH_UNIT);
}

cl_err_t cl_slot_mark(const struct cl_layout *lay, int slot, enum cl_flag flag, unsigned index,
                      uint32_t seq)
{
    uint8_t unit[HAL_FLASH_UNIT];
    uint32_t addr = trailer_addr(lay, slot) + ((uint32_t)flag + index) * HAL_FLASH_UNIT;

    if (!hal_flash_read(addr, unit, sizeof unit)) {
        return CL_ERR_IO;
    }
    if (!cl_blank(unit, sizeof unit)) {
        return flag == CL_FLAG_PENDING ? CL_ERR_STATE : CL_OK;
    }
    uint32_t word = flag == CL_FLAG_PENDING ? seq : FLAG_WORD;
    cl_put32(unit, word);
    cl_put32(unit + 4, ~word);
    return hal_flash_program(addr, unit, sizeof unit) ? CL_OK : CL_ERR_IO;
}

void cl_install_begin(struct cl_install *inst, const struct cl_layout *lay, int slot)
{
    *inst = (struct cl_install){.lay = lay, .slot = slot};
}

/* The header goes first: from then on no flag of the slot counts. Then the flags, before anything
 * can be valid. */
static cl_err_t slot_erase(const struct cl_layout *lay, int slot, uint32_t image_len)
{
    uint32_t base = slot_addr(lay, slot);

    if (CL_RULE(CL_RULE_HEADER_FIRST)) {
        if (!hal_flash_erase(base) || !hal_flash_erase(trailer_addr(lay, slot))) {
            return CL_ERR_IO;
        }
    } else if (!hal_flash_erase(trailer_addr(lay, slot)) || !hal_flash_erase(base)) {
        return CL_ERR_IO;
    }
    for (uint32_t at = lay->sector; at < image_len; at += lay->sector) {
        if (!hal_flash_erase(base + at)) {
            return CL_ERR_IO;
        }
    }
    return CL_OK;
}

/* Is it an image for this device, now? Decides before anything is erased. */
static cl_err_t header_check(struct cl_install *inst, const struct cl_trust *trust, uint32_t floor,
                             uint32_t running)
{
    struct cl_header h;
    cl_err_t err = cl_header_check(inst->lay, trust, inst->raw, &h);

    if (err != CL_OK) {
        return err;
    }
    bool downgrade = (h.flags & CL_HEADER_DOWNGRADE) != 0;
    if ((inst->want_len != 0 && CL_HEADER_LEN + h.body_len != inst->want_len) ||
        (inst->want_version != 0 && h.version != inst->want_version && !downgrade)) {
        return CL_ERR_REFUSED;
    }
    if ((h.counter < floor && CL_RULE(CL_RULE_FLOOR)) || (h.version <= running && !downgrade)) {
        return CL_ERR_OLD;
    }
    inst->header = h;
    return CL_OK;
}

static cl_err_t header_take(struct cl_install *inst, const struct cl_trust *trust, uint32_t floor,
                            uint32_t running)
{
    if (!CL_RULE(CL_RULE_BEFORE_ERASE) && slot_erase(inst->lay, inst->slot, 0) != CL_OK) {
        return CL_ERR_IO;
    }
    cl_err_t err = header_check(inst, trust, floor, running);
    if (err == CL_OK) {
        err = slot_erase(inst->lay, inst->slot, CL_HEADER_LEN + inst->header.body_len);
    }
    if (err == CL_OK) {
        inst->erased = true;
        if (!CL_RULE(CL_RULE_HEADER_LAST) &&
            !hal_flash_program(slot_addr(inst->lay, inst->slot), inst->raw, CL_HEADER_LEN)) {
            err = CL_ERR_IO;
        }
    }
    return err;
}

cl_err_t cl_install_resume(struct cl_install *inst, const struct cl_trust *trust, uint32_t floor,
                           uint32_t running, const uint8_t raw[CL_HEADER_LEN], uint32_t done)
{
    uint8_t there[CL_HEADER_LEN];
    uint32_t base = slot_addr(inst->lay, inst->slot);

    memcpy(inst->raw, raw, CL_HEADER_LEN);
    cl_err_t err = header_check(inst, trust, floor, running);
    if (err != CL_OK) {
        return err;
    }
    uint32_t whole = CL_HEADER_LEN + inst->header.body_len;
    if (done < inst->lay->sector || done % inst->lay->sector != 0 || done > whole ||
        done < CL_HEADER_LEN) {
        return CL_ERR_INVAL;
    }
    if (!hal_flash_read(base, there, sizeof there)) {
        return CL_ERR_IO;
    }
    if (!cl_blank(there, sizeof there)) {
        return CL_ERR_STATE;
    }
    for (uint32_t at = done; at < whole && CL_RULE(CL_RULE_RESUME_ERASE); at += inst->lay->sector) {
        if (!hal_flash_erase(base + at)) {
            return CL_ERR_IO;
        }
    }
    inst->done = done;
    inst->erased = true;
    return CL_OK;
}

cl_err_t cl_install_write(struct cl_install *inst, const struct cl_trust *trust, uint32_t floor,
                          uint32_t running, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        if (inst->done < CL_HEADER_LEN) {
            size_t n = CL_HEADER_LEN - inst->done < len ? CL_HEADER_LEN - inst->done : len;
            memcpy(inst->raw + inst->done, p, n);
            inst->done += (uint32_t)n;
            p += n;
            len -= n;
            if (inst->done == CL_HEADER_LEN) {
                cl_err_t err = header_take(inst, trust, floor, running);
                if (err != CL_OK) {
                    return err;
                }
            }
            continue;
        }
        uint32_t fill = inst->done % HAL_FLASH_UNIT, whole = CL_HEADER_LEN + inst->header.body_len;
        if (!inst->erased) {
            return CL_ERR_STATE;
        }
        if (len > whole - inst->done) {
            return CL_ERR_SPACE;
        }
        if (fill == 0 && len >= HAL_FLASH_UNIT) {
            size_t n = len / HAL_FLASH_UNIT * HAL_FLASH_UNIT;
            if (!hal_flash_program(slot_addr(inst->lay, inst->slot) + inst->done, p, n)) {
                return CL_ERR_IO;
            }
            inst->done += (uint32_t)n;
            p += n;
            len -= n;
            continue;
        }
        inst->unit[fill] = *p++;
        inst->done++;
        len--;
        if (fill == HAL_FLASH_UNIT - 1 &&
            !hal_flash_program(slot_addr(inst->lay, inst->slot) + inst->done - HAL_FLASH_UNIT,
                               inst->unit, HAL_FLASH_UNIT)) {
            return CL_ERR_IO;
        }
    }
    return CL_OK;
}

static bool is_whole(const struct cl_install *inst)
{
    return inst->erased && inst->done == CL_HEADER_LEN + inst->header.body_len;
}

cl_err_t cl_install_digest(const struct cl_install *inst, uint8_t ret[CL_HASH_LEN])
{
    uint32_t fill = inst->done % HAL_FLASH_UNIT;

    if (!is_whole(inst)) {
        return CL_ERR_STATE;
    }
    return cl_sha256_parts(inst->raw, CL_HEADER_LEN,
                           slot_addr(inst->lay, inst->slot) + CL_HEADER_LEN,
                           inst->header.body_len - fill, inst->unit, fill, ret);
}

cl_err_t cl_install_finish(struct cl_install *inst)
{
    uint32_t fill = inst->done % HAL_FLASH_UNIT, base = slot_addr(inst->lay, inst->slot);

    if (!is_whole(inst)) {
        return CL_ERR_STATE;
    }
    inst->erased = false; /* once */
    if (fill != 0) {
        memset(inst->unit + fill, 0xff, HAL_FLASH_UNIT - fill);
        if (!hal_flash_program(base + inst->done - fill, inst->unit, HAL_FLASH_UNIT)) {
            return CL_ERR_IO;
        }
    }
    if (!body_matches(inst->lay, inst->slot, &inst->header)) {
        return CL_ERR_AUTH;
    }
    if (CL_RULE(CL_RULE_HEADER_LAST) && !hal_flash_program(base, inst->raw, CL_HEADER_LEN)) {
        return CL_ERR_IO;
    }
    return CL_OK;
}

cl_err_t cl_install_request(const struct cl_layout *lay, const struct cl_trust *trust, int slot)
{
    struct cl_slot_state own, other;

    cl_slot_read(lay, trust, slot, &own);
    cl_slot_read(lay, trust, 1 - slot, &other);
    if (!own.valid || own.pending) {
        return CL_ERR_STATE;
    }
    return cl_slot_mark(lay, slot, CL_FLAG_PENDING, 0,
                        other.valid && other.pending ? other.seq + 1 : 1);
}
