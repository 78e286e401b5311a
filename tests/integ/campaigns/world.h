/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/integ/campaigns/world.h
 * @brief The campaign engine on a real database with devices that are made up, and a clock of its
 * own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "campaigns/campaign.h"
#include "devices/dev.h"

#define WORLD_DEVICES_MAX 32

/** How a device takes an update. */
enum world_manner {
    WORLD_GOOD,
    WORLD_REFUSES, /**< bad signature */
    WORLD_STORAGE, /**< no room, each time */
    WORLD_DROPS,   /**< download fails once, then it is good */
    WORLD_ROLLS_BACK,
    WORLD_VANISHES,  /**< never heard again after it began to install */
    WORLD_FOREVER,   /**< stays in the download */
    WORLD_NO_OBJECT, /**< cannot be updated */
};

struct world_device {
    int64_t id;
    bool object5, push_only;
    enum world_manner manner;
    bool registered, mute; /**< mute: requests stay unanswered */
    char version[32];
    int state, result;
    int delivered, executed, resets;
    int step; /**< of the update, moved by world_devices() */
};

extern struct world_device world_dev[WORLD_DEVICES_MAX];
extern int64_t world_ms, world_account;
/** API key that asks for what world_do() does. */
extern int64_t world_key;
extern struct loop *world_loop;
extern struct db *world_db;
extern struct camp_engine *world_engine;
extern int world_requests, world_in_flight_max, world_watched;
extern char world_url_seen[512];
extern bool world_no_content;

void world_open(int n, bool object5);
void world_close(void);
/** Stop the engine where it stands and begin anew from the database. */
void world_restart(void);
/** So many commits of the store since world_open(). */
uint64_t world_commits(void);
/** Turns of the loop, without time passing. */
void world_turns(int n);
/** Time passes second by second: engine and devices move. */
void world_run(int seconds);
/** The same until the campaign has this phase; false: not within @p seconds. */
bool world_until(int64_t campaign, int64_t phase, int seconds);
void world_register(struct world_device *d);
void world_deregister(struct world_device *d);
/** Its row goes. */
void world_delete(struct world_device *d);
/** One more device. */
struct world_device *world_add(void);

/** Make a campaign; @p change may be NULL. */
int64_t world_campaign(void (*change)(struct db_campaign *row),
                       const struct db_campaign_wave *waves, size_t n_waves);
dr_err_t world_do(enum camp_verb verb, int64_t campaign);
/** Copies; the texts are static. */
struct db_campaign world_row(int64_t campaign);
struct db_campaign_device world_device_row(int64_t campaign, int64_t device);
struct db_campaign_wave world_wave(int64_t campaign, int64_t seq);
int world_count(int64_t campaign, int64_t status);
