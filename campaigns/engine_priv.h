/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  campaigns/engine_priv.h
 * @brief State of the campaign engine on the control loop.
 *
 * Layer: campaigns, private.  Threads: the control loop; run and fn functions of jobs elsewhere
 * touch only their job.  Memory: rows under way and what their device said.  Limits: CAMP_*_MAX.
 * Security: none.  Spec: none.
 */
#pragma once

#include "base/ids.h"
#include "base/list.h"
#include "base/loop.h"
#include "campaigns/campaign.h"
#include "campaigns/fault.h"
#include "db/db.h"
#include "db/event.h"
#include "devices/dev.h"

#define CAMP_BUCKETS_OF_DEVICES 65536 /**< power of two */
#define CAMP_ADMIT_BATCH        64
#define CAMP_COPY_BATCH         500
#define CAMP_STORE_AGAIN_MS     1000
#define CAMP_ASK_MS             5000 /**< a device that decides for longer gives its slot back */
#define CAMP_CONTENT_AGAIN_MS   30000
#define CAMP_LOOK_AGAIN_MS      60000
/** A look for deleted devices that follows a goodbye, in campaigns with few devices under way. */
#define CAMP_LOOK_SOON_MS       1000
#define CAMP_LOOK_SOON_MAX      1000
#define CAMP_END_DEFAULT_MS     (30LL * 86400 * 1000)

/** A campaign row with its texts. */
struct camp_text {
    struct db_campaign row;
    char *block; /**< owned; texts of row */
};
DR_CHECK dr_err_t camp_text_copy(struct camp_text *to, const struct db_campaign *from);
void camp_text_fini(struct camp_text *t);

struct camp;

/** Things that happen to a device while its last change is being written. */
enum {
    CAMP_NEWS_ONLINE = 1,
    CAMP_NEWS_OFFLINE = 2,
    CAMP_NEWS_REMOVED = 4,
    CAMP_NEWS_CANCEL = 8,
    CAMP_NEWS_CANCEL_HARD = 16,
    CAMP_NEWS_EXPIRE = 32,
    CAMP_NEWS_REPORT = 64,
    CAMP_NEWS_ANSWER = 128, /**< the op is over: last_err … hold how */
    CAMP_NEWS_RECALL = 256,
};

/** A device under way. */
struct camp_dev {
    struct dr_list by_device; /**< bucket of the engine */
    struct dr_list node;      /**< of its campaign */
    struct dr_timer timer;    /**< of the engine's wheel: deadline */
    struct camp *c;
    struct camp_row row, next; /**< as stored; as being stored */
    struct db_job job;
    struct db_event event;
    char event_data[64];
    bool has_event;
    bool writing;     /**< job is under way */
    bool write_again; /**< it failed: again in a while */
    bool reserved;    /**< takes a slot that the tally does not show yet */
    bool asking;      /**< a request call (not its answer) is under way */
    bool doomed;      /**< free it when nothing is under way */
    unsigned news;
    struct camp_report note; /**< CAMP_NEWS_REPORT */
    /* operation under way */
    int64_t op_seq; /**< row.op_seq that it belongs to; 0 = none */
    unsigned step;
    enum camp_mech trying;
    struct camp_report known; /**< of READ */
    struct dev_request req;
    struct dev_subscribe sub;
    char async_id[DEV_ASYNC_ID_MAX + 1];
    struct camp_step at;
    struct dr_timer again; /**< the request could not be put into the queue: later */
    /* how the op ended */
    bool op_ok, op_away;
    enum camp_fail op_fail;
    char op_reason[CAMP_REASON_MAX + 1];
};

struct camp_job;

struct camp {
    struct dr_list node;
    struct camp_engine *e;
    int64_t id, account;
    struct camp_text text;
    struct db_campaign_wave waves[CAMP_WAVES_MAX];
    char verdicts[CAMP_WAVES_MAX][CAMP_VERDICT_MAX + 1];
    size_t n_waves;
    struct camp_tally tally[CAMP_WAVES_MAX];
    bool tallied;
    int64_t reserved;
    int64_t asked_at; /**< when a device began to decide, most lately */
    struct dr_list devs;
    size_t n_devs;
    struct camp_content content;
    bool has_content;
    int64_t content_again;
    bool busy;       /**< a job or read of the campaign is under way */
    bool loaded;     /**< devices that were under way are in memory */
    bool ready_none; /**< the last look found no device that could begin */
    bool admitting;
    bool cancelled, cancelled_hard; /**< what is in memory has been told */
    int64_t scan_at;                /**< when devices are looked for that match by now */
    bool scanning;
    int64_t orphans_at; /**< when rows of deleted devices are looked for again */
    int64_t conflicts;  /**< devices of the snapshot that another campaign has */
    struct camp_rate rate, bytes;
    struct dr_zone *zone; /**< owned: of text.row.window_zone; NULL = not read yet, or none */
    int64_t zone_again;   /**< one that could not be read is not tried before */
    bool recalled;        /**< in this tick */
    struct camp_action *actions; /**< waiting, in order */
    int64_t load_after;
};

struct camp_engine {
    struct camp_config cfg;
    struct loop *loop;
    struct db *db;
    struct dr_idgen ids;
    struct dev_sink sink;
    struct dr_list camps;
    size_t n_camps;
    struct dr_list *buckets; /**< owned */
    struct dr_wheel wheel;   /**< in the engine's own time */
    struct loop_timer tick;
    uint64_t mono0;
    int64_t wall0;
    struct camp_clock clock;
    bool clock_ok;
    bool running, stopping;
    struct camp_faults faults;
    uint32_t busy; /**< jobs, reads and calls under way */
    void (*load_done)(void *data, dr_err_t err);
    void *load_data;
    size_t load_left;
    dr_err_t load_err;
    void (*stop_done)(void *data);
    void *stop_data;
    bool stop_posted;
    struct loop_msg stop_msg;
};

/** The engine's time: unix ms at its start, then monotonic. */
int64_t camp_now(const struct camp_engine *e);
int64_t camp_wall(const struct camp_engine *e);
void camp_idle(struct camp_engine *e);

/* ---- campaigns (engine.c) ---- */
struct camp *camp_find(const struct camp_engine *e, int64_t id);
struct camp *camp_new(struct camp_engine *e, const struct db_campaign *row);
void camp_free(struct camp *c);
/** Do what can be done now. May free @p c. */
void camp_drive(struct camp *c);
/** A device said goodbye or was deleted: look which, soon. */
void camp_orphans_soon(struct camp *c);
struct camp_policy camp_policy_of(const struct camp *c);
int64_t camp_slots(const struct camp *c);
/** Is the maintenance window open, and the clock to be believed? */
bool camp_open_now(struct camp *c);

/* ---- jobs (engine_jobs.c) ---- */
typedef void camp_then(struct camp *c, dr_err_t err);
/** Store the campaign (texts of @p row are borrowed during the call) and perhaps a wave; then the
 * copy in memory is the new one and @p then runs. On an error nothing was begun. */
DR_CHECK dr_err_t camp_store(struct camp *c, const struct db_campaign *row,
                             const struct db_campaign_wave *wave, int64_t wave_from,
                             camp_then *then);
DR_CHECK dr_err_t camp_content_load(struct camp *c, camp_then *then);
DR_CHECK dr_err_t camp_tally_load(struct camp *c, camp_then *then);
DR_CHECK dr_err_t camp_devs_load(struct camp *c, camp_then *then);
/** The next piece of the snapshot; DR_ERR_AGAIN in @p then: there is more. */
DR_CHECK dr_err_t camp_copy(struct camp *c, camp_then *then);
/** Begin with devices that are ready. */
DR_CHECK dr_err_t camp_admit(struct camp *c, uint32_t budget, int64_t wave, camp_then *then);
/** End rows of devices that were deleted. */
DR_CHECK dr_err_t camp_orphans_end(struct camp *c, camp_then *then);
/** End rows that wait, CAMP_COPY_BATCH at a time; DR_ERR_AGAIN in @p then: there is more. */
DR_CHECK dr_err_t camp_queue_end(struct camp *c, enum camp_in how, camp_then *then);

/* ---- devices (engine_dev.c) ---- */
struct camp_dev *camp_dev_new(struct camp *c, const struct db_campaign_device *row);
struct camp_dev *camp_dev_find(const struct camp_engine *e, int64_t campaign, int64_t device);
void camp_dev_free(struct camp_dev *d);
void camp_dev_input(struct camp_dev *d, struct camp_input *in);
void camp_dev_news(struct camp_dev *d, unsigned news);
/** Begin the operation of the row if it is not under way. */
void camp_dev_act(struct camp_dev *d);
void camp_sink_event(void *data, const struct dev_event *ev);

/* ---- actions (engine_act.c) ---- */
/** Take the first action of @p c that waits; true: something is under way now. */
bool camp_act_next(struct camp *c);
