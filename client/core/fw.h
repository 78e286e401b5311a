/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/fw.h
 * @brief The firmware update: manifest or package in, download, installation, trial, report.
 *
 * Layer: client/core over slots, store and manifest; knows no network.  Threads: one loop.
 * Memory: the caller's struct only.
 * Limits: one update at a time; CL_MANIFEST_MAX, CL_PAYLOAD_URI_MAX; CL_FW_FETCHES_MAX attempts in
 * a row without a byte. Security: nothing is erased before the manifest (if there is one) and the
 * header of the image are found to be signed, meant for this device and newer, and before the
 * application agreed. An image is asked for only when its bytes are those that were signed, and
 * confirmed only after it registered with the server.
 *
 *                      manifest           agreed                 all there         agreed
 *   IDLE -----------------> CHECKING -> ASK_DOWNLOAD -> DOWNLOADING ---> ASK_INSTALL --->
 * INSTALLING ^  package URI ----------------------------------------^                | | |  package
 * -----------------------------------------'  ^                |           REBOOTING | (after a
 * reset: goes on)     |               |
 *     |<---- failure: result first, then the state <--------------------------'            reset
 *     `<---- registered as the new image: confirmed, result 1 <-- trial <---------------------'
 *
 * Every state is in the store before it is shown; a reset in any of them goes on or starts it
 * again.
 */
#pragma once

#include "client/core/boot.h"
#include "client/core/its.h"
#include "client/core/manifest.h"

#define CL_FW_NEVER        UINT32_MAX
#define CL_FW_FETCHES_MAX  10
#define CL_FW_TRIAL_MS     120000 /**< a trial that has not registered by then starts again */
#define CL_FW_NOTIFY_MS    60000  /**< a state waits so long for the report of the one before it */
#define CL_FW_SAVE_SECTORS 2      /**< a download goes on at most so many sectors back */

/** As 10252/0/2 shows them. */
enum cl_fw_state {
    CL_FW_IDLE = 1,
    CL_FW_CHECKING,
    CL_FW_ASK_DOWNLOAD,
    CL_FW_DOWNLOADING,
    CL_FW_DOWNLOADED, /**< not used */
    CL_FW_ASK_INSTALL,
    CL_FW_INSTALLING,
    CL_FW_REBOOTING,
};

/** How the update came in. Stored. */
enum cl_fw_origin {
    CL_FW_NOTHING,
    CL_FW_MANIFEST, /**< 10252/0/1 */
    CL_FW_PUSH,     /**< 5/0/0 */
    CL_FW_PULL,     /**< 5/0/1 */
};

enum cl_fw_ask { CL_FW_DOWNLOAD, CL_FW_INSTALL };
enum cl_fw_answer { CL_FW_YES, CL_FW_NO, CL_FW_LATER /**< cl_fw_authorise() follows */ };

struct cl_fw;

/** What the engine needs of the program. */
struct cl_fw_ops {
    /** A resource changed. */
    void (*changed)(void *ctx, uint16_t obj, uint16_t inst, uint16_t res);
    /** A change of it is not delivered yet. */
    bool (*unsent)(void *ctx, uint16_t obj, uint16_t inst, uint16_t res);
    /**
     * Get the payload from byte @p offset; cl_fw_data() and, once, cl_fw_fetched() follow, later.
     * @param uri  of uri_len bytes, borrowed until cl_fw_fetched()
     * @retval CL_ERR_INVAL   not a URI that can be fetched
     * @retval CL_ERR_FORMAT  of a scheme that is not spoken
     * @retval CL_ERR_BUSY, CL_ERR_CLOSED  not now
     */
    cl_err_t (*fetch)(void *ctx, const char *uri, size_t uri_len, uint32_t offset);
    /** Hurry: cl_fw_fetched() comes soon. */
    void (*fetch_stop)(void *ctx);
    /** May the update go on? NULL: always. Asked once a state and once more after a reset. */
    enum cl_fw_answer (*ask)(void *ctx, enum cl_fw_ask what, uint32_t version, uint32_t priority);
    /** Start the machine anew, soon. */
    void (*reset)(void *ctx);
    /** cl_fw_step() has something to do now. */
    void (*kick)(void *ctx);
    void *ctx;
};

struct cl_fw_config {
    const struct cl_layout *lay;
    const struct cl_trust *trust; /**< of manifests and images */
    struct cl_kvs *kvs;
    struct cl_boot boot; /**< what cl_boot() decided */
    uint8_t vendor[CL_UUID_LEN], class_id[CL_UUID_LEN];
    uint32_t built_in; /**< version of the program where no slot runs */
    uint32_t trial_ms; /**< 0 = CL_FW_TRIAL_MS */
};

/** What the store keeps. */
struct cl_fw_saved {
    uint8_t origin, state, slot; /**< enum cl_fw_origin, enum cl_fw_state */
    uint8_t result;              /**< enum cl_result of the last update */
    uint8_t result5;             /**< the same as object 5 says it */
    uint32_t done;               /**< bytes of the image that a download goes on behind */
    uint32_t size, version;      /**< of the manifest; version of the header without one */
    uint32_t priority;
    uint8_t digest[CL_HASH_LEN]; /**< of the body that is installed, once its header is there */
};

struct cl_fw {
    struct cl_fw_config conf;
    const struct cl_fw_ops *ops;
    struct cl_fw_saved saved;
    uint32_t version;                /**< of what runs */
    uint32_t floor;                  /**< lowest security counter of a new image */
    uint8_t source[CL_MANIFEST_MAX]; /**< the manifest or, of a pull, the URI */
    size_t source_len;
    struct cl_manifest manifest; /**< points into source */
    struct cl_install inst;
    uint64_t now_ms, trial_due_ms, wait_due_ms, retry_at_ms;
    size_t part_end;    /**< of a pushed package: bytes seen */
    uint32_t push_skip; /**< bytes of the manifest before a pushed image */
    uint8_t failures;   /**< fetches in a row without a byte */
    enum cl_result why; /**< a failure that is being reported */
    bool failing, trial, registered;
    bool asked, agreed; /**< of the state under way */
    bool fetching, begun, got_bytes;
    bool reset_asked;
};

/**
 * Take up what the store says: what runs, what was under way.
 * @retval CL_ERR_IO  the store cannot be read
 */
CL_CHECK cl_err_t cl_fw_init(struct cl_fw *fw, const struct cl_fw_config *conf,
                             const struct cl_fw_ops *ops);
/** Do what is due. @return milliseconds until the next call at the latest, or CL_FW_NEVER */
uint32_t cl_fw_step(struct cl_fw *fw, uint64_t now_ms);

/** The device registered: confirms a trial, goes on with a download. */
void cl_fw_registered(struct cl_fw *fw);
/** It is no longer connected. */
void cl_fw_lost(struct cl_fw *fw);
/** The application's answer after CL_FW_LATER. @retval CL_ERR_STATE  nothing waits for it */
CL_CHECK cl_err_t cl_fw_authorise(struct cl_fw *fw, enum cl_fw_ask what, bool yes);

/**
 * A manifest came. While an update is under way others are dropped, as the reference client does.
 * @retval CL_OK         stored, or dropped
 * @retval CL_ERR_SPACE  over CL_MANIFEST_MAX
 * @retval CL_ERR_IO     not stored
 */
CL_CHECK cl_err_t cl_fw_manifest(struct cl_fw *fw, const uint8_t *in, size_t len);
/**
 * A part of a package: an image, or a manifest and its image. One zero byte, or nothing at all,
 * makes the device forget an update that has not been installed.
 * @retval CL_ERR_STATE  an update is under way, or parts are missing
 * @retval any other  refused: the result says why
 */
CL_CHECK cl_err_t cl_fw_package(struct cl_fw *fw, size_t offset, const uint8_t *in, size_t len,
                                bool last);
/** Where to get an image; "" forgets. @retval CL_ERR_SPACE, CL_ERR_STATE, CL_ERR_IO  as above */
CL_CHECK cl_err_t cl_fw_package_uri(struct cl_fw *fw, const char *uri, size_t len);
/** Install what was downloaded (5/0/2). @retval CL_ERR_DENIED  there is nothing */
CL_CHECK cl_err_t cl_fw_update(struct cl_fw *fw);

/** Bytes of the payload. Anything but CL_OK: no more are wanted. */
CL_CHECK cl_err_t cl_fw_data(struct cl_fw *fw, uint32_t offset, const uint8_t *data, size_t len);
/**
 * The fetch is over.
 * @param err  CL_OK: the payload ended. CL_ERR_REFUSED: the server will not give it. CL_ERR_STATE:
 *             it has another payload now. All others: again, later
 */
void cl_fw_fetched(struct cl_fw *fw, cl_err_t err);

/* What the objects show. */
static inline uint32_t cl_fw_version(const struct cl_fw *fw)
{
    return fw->version;
}
/** 10252/0/2 and 10252/0/3 (-1: none). */
int cl_fw_state(const struct cl_fw *fw);
int cl_fw_result(const struct cl_fw *fw);
/** 5/0/3 and 5/0/5. */
int cl_fw_state5(const struct cl_fw *fw);
int cl_fw_result5(const struct cl_fw *fw);
/** 5/0/7: of the package that waits, else of what runs. */
uint32_t cl_fw_package_version(const struct cl_fw *fw);
