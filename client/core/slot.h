/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/slot.h
 * @brief The two image slots: header, trailer flags, installation.
 *
 * Layer: client/core over the flash HAL.  Threads: one loop.  Memory: the caller's structs only.
 * Limits: an image of slot size less header and last sector.
 * Security: the header carries all authority: its signature covers the digest of the body, and a
 * slot without a valid header is empty whatever its flags say.
 */
#pragma once

#include "client/core/crypto.h"
#include "client/hal.h"

#define CL_SLOTS            2
#define CL_SLOT_NONE        (-1)
#define CL_HEADER_LEN       512
#define CL_TRIES_MAX        3
/** Header flag: the signer allows this image in place of one with a higher version. */
#define CL_HEADER_DOWNGRADE 1u

/** Where things lie in flash. */
struct cl_layout {
    uint32_t slot_size;  /**< slot A at 0, slot B at slot_size */
    uint32_t store_base; /**< two areas of the store behind them */
    uint32_t store_area;
    uint32_t sector;
};

struct cl_header {
    uint32_t load_addr, body_len, version, counter, flags;
    uint8_t digest[CL_HASH_LEN]; /**< SHA-256 of the body */
    uint8_t key_id[8];
};

/** All that the boot decision knows of a slot. */
struct cl_slot_state {
    bool valid;   /**< header, signature and body are right */
    bool pending; /**< an installation was asked for; seq is its number */
    bool confirmed, rejected;
    uint8_t tries;
    uint32_t seq;
    struct cl_header header; /**< only when valid */
};

enum cl_flag { CL_FLAG_PENDING, CL_FLAG_TRIED, CL_FLAG_CONFIRMED = 4, CL_FLAG_REJECTED };

/**
 * Divide the flash.
 * @retval CL_ERR_INVAL  too small, or slot_size is no multiple of the sector
 */
CL_CHECK cl_err_t cl_layout_init(uint32_t slot_size, struct cl_layout *ret);
/** Flash that cl_layout_init() wants for two slots of this size. */
uint32_t cl_layout_need(uint32_t slot_size, uint32_t sector);

/**
 * Check the 512 bytes before an image: form, length against the slot, signature.
 * @retval CL_ERR_INVAL  not an image header
 * @retval CL_ERR_SPACE  the body does not fit into a slot
 * @retval CL_ERR_AUTH   the signature is not by the trusted key
 */
CL_CHECK cl_err_t cl_header_check(const struct cl_layout *lay, const struct cl_trust *trust,
                                  const uint8_t raw[CL_HEADER_LEN], struct cl_header *ret);

/** Read and verify a slot. Never fails: what cannot be read is not valid. */
void cl_slot_read(const struct cl_layout *lay, const struct cl_trust *trust, int slot,
                  struct cl_slot_state *ret);
/** Write one flag; @p index is the number of the try for CL_FLAG_TRIED. One that is set already is
 * left alone. */
CL_CHECK cl_err_t cl_slot_mark(const struct cl_layout *lay, int slot, enum cl_flag flag,
                               unsigned index, uint32_t seq);

/** An installation under way. */
struct cl_install {
    const struct cl_layout *lay;
    int slot;
    uint32_t done; /**< bytes of the image seen, header included */
    bool erased;
    uint8_t raw[CL_HEADER_LEN];
    uint8_t unit[HAL_FLASH_UNIT]; /**< bytes that do not fill a unit yet */
    struct cl_header header;
    uint32_t want_len;     /**< 0, or what header and body must come to */
    uint32_t want_version; /**< 0, or what the header must say, unless CL_HEADER_DOWNGRADE */
};

/**
 * Begin to receive an image for @p slot, which must not be the running one. Writes nothing yet.
 * want_len and want_version may be set behind it.
 */
void cl_install_begin(struct cl_install *inst, const struct cl_layout *lay, int slot);
/**
 * Go on with an image whose first @p done bytes are in flash, perhaps with torn ones behind them:
 * all from there on is erased again. Behind cl_install_begin().
 * @param raw   its header, checked as if it came anew
 * @param done  a multiple of the sector
 * @retval CL_ERR_STATE  the header of the slot was begun: nothing can go on there
 * @retval CL_ERR_INVAL, CL_ERR_AUTH, CL_ERR_OLD, CL_ERR_REFUSED, CL_ERR_IO  as cl_install_write()
 */
CL_CHECK cl_err_t cl_install_resume(struct cl_install *inst, const struct cl_trust *trust,
                                    uint32_t floor, uint32_t running,
                                    const uint8_t raw[CL_HEADER_LEN], uint32_t done);
/**
 * The next bytes. Once the header is whole it is checked against @p trust, and only then is the
 * slot erased: a forged image destroys nothing.
 * @param floor    security counter that the image must reach
 * @param running  version that it must exceed, unless signed with CL_HEADER_DOWNGRADE
 * @retval CL_ERR_OLD   counter or version too low
 * @retval CL_ERR_SPACE more bytes than the header says
 * @retval CL_ERR_REFUSED  not of want_len or want_version
 * @retval CL_ERR_INVAL, CL_ERR_AUTH, CL_ERR_IO  as cl_header_check(), or flash failed
 */
CL_CHECK cl_err_t cl_install_write(struct cl_install *inst, const struct cl_trust *trust,
                                   uint32_t floor, uint32_t running, const void *data, size_t len);
/** SHA-256 of all bytes, header and body, once they are there. @retval CL_ERR_STATE  they are not
 */
CL_CHECK cl_err_t cl_install_digest(const struct cl_install *inst, uint8_t ret[CL_HASH_LEN]);
/**
 * All bytes are there: check the body, write the header. The slot is valid afterwards, not yet
 * asked for.
 * @retval CL_ERR_STATE  bytes are missing
 * @retval CL_ERR_AUTH   the body has another digest
 */
CL_CHECK cl_err_t cl_install_finish(struct cl_install *inst);
/** Ask the next boot to try the slot. */
CL_CHECK cl_err_t cl_install_request(const struct cl_layout *lay, const struct cl_trust *trust,
                                     int slot);
