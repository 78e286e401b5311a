/* SPDX-License-Identifier: Apache-2.0 */
/** Register, Update, De-register, Send, expiry and the key look-up, as a device sees them. */
#include <sys/stat.h>

#include "tests/integ/devices/rig.h"

static const char full_query[] = "ep=node-1&lt=300&lwm2m=1.1&b=U";

START_TEST(register_answers_a_location_after_the_row_is_on_disk)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *x = rig_post(0, p, "rd", full_query, RIG_LINKS);

    rig_wait(x); /* the row is read below without letting anything run first */
    ck_assert_uint_eq(x->code, CX_CREATED); /* spec: LWM2M-1.1-CORE#6.2.1 */
    ck_assert_msg(strncmp(x->location, "rd/", 3) == 0, "%s", x->location);
    struct rig_row row = rig_row("node-1");
    ck_assert(row.registered);
    ck_assert_uint_eq(row.lifetime_s, 300);
    ck_assert_int_eq(row.device, rig_device(x));
    ck_assert_ptr_nonnull(strstr(row.links, "</3303/0>"));
    RIG_UNTIL(rig_count(DEV_EVENT_REGISTERED) == 1);
    ck_assert_uint_eq(rig_event_of(DEV_EVENT_REGISTERED, 0)->n_links, 4);
    ck_assert_str_eq(rig_event_of(DEV_EVENT_REGISTERED, 0)->endpoint, "node-1");
}
END_TEST

static const struct {
    const char *why;
    const char *query, *links;
    uint8_t type;
    enum cx_id_kind kind;
    uint8_t code;
} refusals[] = {
    {"name of another device", "ep=node-2&lt=300&lwm2m=1.1&b=U", RIG_LINKS, CX_CON, CX_ID_PSK,
     CX_BAD_REQUEST},
    {"no object list", "ep=node-1&lt=300&lwm2m=1.1&b=U", NULL, CX_CON, CX_ID_PSK, CX_BAD_REQUEST},
    {"version 2", "ep=node-1&lt=300&lwm2m=2.0&b=U", RIG_LINKS, CX_CON, CX_ID_PSK, CX_PRECONDITION},
    {"bad lifetime", "ep=node-1&lt=abc&lwm2m=1.1&b=U", RIG_LINKS, CX_CON, CX_ID_PSK,
     CX_BAD_REQUEST},
    {"NON", "ep=node-1&lt=300&lwm2m=1.1&b=U", RIG_LINKS, CX_NON, CX_ID_PSK, CX_BAD_REQUEST},
    {"NoSec is off", "ep=node-1&lt=300&lwm2m=1.1&b=U", RIG_LINKS, CX_CON, CX_ID_NONE, CX_FORBIDDEN},
    {"open bracket", "ep=node-1&lt=300&lwm2m=1.1&b=U", "</3/0>,</4", CX_CON, CX_ID_PSK,
     CX_BAD_REQUEST},
};

START_TEST(register_is_refused_with_the_legal_code)
{
    cx_peer_t p = fe_peer_new(rig.e[0], refusals[_i].kind, DBT_ACCOUNT,
                              refusals[_i].kind == CX_ID_NONE ? "" : "node-1", 0, 0);
    struct fe_exchange *x = fe_request(
        rig.e[0], p,
        FE_MSG(CX_POST, .type = refusals[_i].type, .path = "rd", .query = refusals[_i].query,
               .ct = FE_N(40), .payload = refusals[_i].links,
               .len = refusals[_i].links == NULL ? 0 : strlen(refusals[_i].links)));
    rig_wait(x);
    ck_assert_msg(x->code == refusals[_i].code, "%s: %u.%02u", refusals[_i].why, x->code >> 5,
                  x->code & 31);
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 0); /* nothing is kept */
    ck_assert(!rig_row("node-1").found);
}
END_TEST

START_TEST(register_takes_the_name_of_the_credential_when_ep_is_absent)
{
    cx_peer_t p = rig_peer(1, "node-1");

    (void)rig_register(1, p, "lt=300&lwm2m=1.1&b=U");
    ck_assert(rig_row("node-1").registered);
}
END_TEST

START_TEST(update_without_news_is_answered_at_once_and_not_stored)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct rig_row before = rig_row("node-1");
    struct db_stats stats[2];
    db_stats(dbt_db, &stats[0]);

    for (unsigned i = 0; i < 3; i++) {
        struct fe_exchange *x = rig_post(0, p, reg->location, i == 1 ? "lt=300" : NULL, NULL);
        ck_assert(!x->open);
        ck_assert_uint_eq(x->code, CX_CHANGED);
    }
    db_stats(dbt_db, &stats[1]);
    ck_assert_uint_eq(stats[0].jobs, stats[1].jobs);
    ck_assert_int_eq(rig_row("node-1").generation, before.generation);
    RIG_UNTIL(rig_count(DEV_EVENT_UPDATED) >= 1);
}
END_TEST

START_TEST(update_with_news_is_stored_before_its_answer)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct fe_exchange *x = rig_post(0, p, reg->location, "lt=900", "</3/0>,</6/0>");

    rig_wait(x);
    ck_assert_uint_eq(x->code, CX_CHANGED);
    struct rig_row row = rig_row("node-1");
    ck_assert_uint_eq(row.lifetime_s, 900);
    ck_assert_ptr_nonnull(strstr(row.links, "</6/0>"));
    ck_assert_ptr_null(strstr(row.links, "</3303/0>"));
    /* repeated: no news any more */
    x = rig_post(0, p, reg->location, "lt=900", "</3/0>,</6/0>");
    ck_assert(!x->open);
}
END_TEST

START_TEST(update_of_an_unknown_location_is_4_04)
{
    cx_peer_t p = rig_peer(0, "node-1");
    static const char *const paths[] = {"rd/0123456789abcdef", "rd/nonsense",
                                        "rd/"
                                        "018bcfe5680000000000"
                                        "000000000001"};

    for (size_t i = 0; i < DR_ARRAY_LEN(paths); i++) {
        struct fe_exchange *x = rig_wait(rig_post(0, p, paths[i], NULL, NULL));
        ck_assert_uint_eq(x->code, CX_NOT_FOUND);
    }
    rig_pause(5);
    ck_assert_uint_eq(rig_held(0), 0);
}
END_TEST

START_TEST(update_with_the_identity_of_another_is_4_04)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);

    for (unsigned shard = 0; shard < RIG_SHARDS; shard++) { /* where it is held, and elsewhere */
        cx_peer_t q = rig_peer(shard, "node-2");
        struct fe_exchange *x = rig_wait(rig_post(shard, q, reg->location, NULL, NULL));
        ck_assert_uint_eq(x->code, CX_NOT_FOUND); /* spec: LWM2M-1.1-CORE#6.2.2 */
        x = rig_wait(fe_request(rig.e[shard], q, FE_MSG(CX_DELETE, .path = reg->location)));
        ck_assert_uint_eq(x->code, CX_NOT_FOUND);
    }
    cx_peer_t q = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_OTHER, "node-1", 0, 0);
    ck_assert_uint_eq(rig_wait(rig_post(0, q, reg->location, NULL, NULL))->code, CX_NOT_FOUND);
    ck_assert(rig_row("node-1").registered);
}
END_TEST

START_TEST(deregister_ends_it_and_the_location)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct fe_exchange *x =
        rig_wait(fe_request(rig.e[0], p, FE_MSG(CX_DELETE, .path = reg->location)));

    ck_assert_uint_eq(x->code, CX_DELETED);
    ck_assert(!rig_row("node-1").registered);
    RIG_UNTIL(rig_count(DEV_EVENT_DEREGISTERED) == 1);
    ck_assert_uint_eq(rig_held(0), 0);
    x = rig_wait(rig_post(0, p, reg->location, NULL, NULL));
    ck_assert_uint_eq(x->code, CX_NOT_FOUND);
    /* and again: the id is the same for the life of the device */
    struct fe_exchange *again = rig_register(0, p, full_query);
    ck_assert_str_eq(again->location, reg->location);
}
END_TEST

START_TEST(registering_again_takes_over_and_takes_a_generation)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *one = rig_register(0, p, full_query);
    int64_t generation = rig_row("node-1").generation;
    cx_peer_t q = rig_peer(0, "node-1");
    struct fe_exchange *two = rig_register(0, q, "ep=node-1&lt=60&lwm2m=1.0");

    ck_assert_str_eq(one->location, two->location);
    struct rig_row row = rig_row("node-1");
    ck_assert_int_gt(row.generation, generation);
    ck_assert_uint_eq(row.lifetime_s, 60);
    RIG_UNTIL(rig_count(DEV_EVENT_REGISTERED) == 2);
    ck_assert_uint_eq(rig_count(DEV_EVENT_DEREGISTERED), 0);
    RIG_UNTIL(!fe_peer_alive(rig.e[0], p)); /* the older association is closed */
    ck_assert(fe_peer_alive(rig.e[0], q));
    ck_assert_uint_eq(rig_held(0), 1);
}
END_TEST

START_TEST(update_over_a_new_association_of_the_same_identity_is_taken)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    cx_peer_t q = rig_peer(0, "node-1");
    struct fe_exchange *x = rig_wait(rig_post(0, q, reg->location, NULL, NULL));

    ck_assert_uint_eq(x->code, CX_CHANGED);
    RIG_UNTIL(!fe_peer_alive(rig.e[0], p));
    ck_assert_uint_eq(cx_peer_user(rig.e[0], q), dev_reg_by_device(rig_shard(0), rig_device(reg)));
}
END_TEST

START_TEST(update_after_a_restart_finds_its_row)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);

    rig_restart();
    ck_assert_uint_eq(rig_held(0) + rig_held(1), 0);
    p = rig_peer(1, "node-1");
    struct fe_exchange *x = rig_wait(rig_post(1, p, reg.location, NULL, NULL));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    ck_assert_uint_eq(rig_held(1), 1);
    x = rig_post(1, p, reg.location, NULL, NULL);
    ck_assert(!x->open); /* now in memory */
}
END_TEST

START_TEST(deregister_after_a_restart_finds_its_row)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);

    rig_restart();
    p = rig_peer(0, "node-1");
    struct fe_exchange *x =
        rig_wait(fe_request(rig.e[0], p, FE_MSG(CX_DELETE, .path = reg.location)));
    ck_assert_uint_eq(x->code, CX_DELETED);
    ck_assert(!rig_row("node-1").registered);
}
END_TEST

START_TEST(last_seen_times_survive_without_row_updates)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);
    int64_t seen = rig_row("node-1").last_seen;

    rig_pause(1100);
    ck_assert(!rig_post(0, p, reg.location, NULL, NULL)->open);
    ck_assert_int_eq(rig_row("node-1").last_seen, seen); /* only in the file */
    rig_restart();
    ck_assert_int_gt(rig_row("node-1").last_seen, seen);
}
END_TEST

START_TEST(rows_are_refreshed_once_in_a_quarter_of_the_lifetime)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, "ep=node-1&lt=4&lwm2m=1.1&b=U");
    int64_t seen = rig_row("node-1").last_seen;

    rig_pause(2100);
    ck_assert(!rig_post(0, p, reg->location, NULL, NULL)->open);
    RIG_UNTIL(rig_row("node-1").last_seen > seen);
}
END_TEST

START_TEST(a_registration_ends_after_lifetime_and_grace)
{
    rig_stop();
    rig.grace_s = 1;
    rig_start();
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, "ep=node-1&lt=1&lwm2m=1.1&b=U");

    rig_pause(700);
    ck_assert_uint_eq(rig_count(DEV_EVENT_EXPIRED), 0);
    RIG_UNTIL(rig_count(DEV_EVENT_EXPIRED) == 1);
    ck_assert(!rig_row("node-1").registered);
    ck_assert_uint_eq(rig_held(0), 0);
    struct fe_exchange *x = rig_wait(rig_post(0, p, reg->location, NULL, NULL));
    ck_assert_uint_eq(x->code, CX_NOT_FOUND);
}
END_TEST

START_TEST(an_update_prolongs_the_lifetime)
{
    rig_stop();
    rig.grace_s = 0;
    rig_start();
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, "ep=node-1&lt=2&lwm2m=1.1&b=U");

    for (unsigned i = 0; i < 3; i++) {
        rig_pause(900);
        ck_assert_uint_eq(rig_wait(rig_post(0, p, reg->location, NULL, NULL))->code, CX_CHANGED);
    }
    ck_assert_uint_eq(rig_count(DEV_EVENT_EXPIRED), 0);
    RIG_UNTIL(rig_count(DEV_EVENT_EXPIRED) == 1);
}
END_TEST

START_TEST(rows_that_ran_out_while_away_are_swept)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, "ep=node-1&lt=1&lwm2m=1.1&b=U");

    rig_stop();
    dbt_reopen();
    (void)poll(NULL, 0, 1500);
    rig.grace_s = 0;
    rig.sweep_ms = 50;
    rig_start();
    RIG_UNTIL(rig_count(DEV_EVENT_EXPIRED) == 1);
    ck_assert(!rig_row("node-1").registered);
    p = rig_peer(0, "node-1"); /* claims are open again */
    ck_assert_uint_eq(rig_wait(rig_post(0, p, reg.location, NULL, NULL))->code, CX_NOT_FOUND);
    (void)rig_register(0, p, full_query);
}
END_TEST

START_TEST(a_held_registration_is_not_swept)
{
    rig_stop();
    rig.sweep_ms = 20;
    rig.grace_s = 0;
    rig_start();
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, "ep=node-1&lt=2&lwm2m=1.1&b=U");

    for (unsigned i = 0; i < 4; i++) {
        rig_pause(800);
        ck_assert_uint_eq(rig_wait(rig_post(0, p, reg->location, NULL, NULL))->code, CX_CHANGED);
    }
    ck_assert_uint_eq(rig_count(DEV_EVENT_EXPIRED), 0);
}
END_TEST

START_TEST(a_full_store_gives_5_03_and_keeps_what_is_registered)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange reg = *rig_register(0, p, full_query);

    rig_stop();
    dbt_db = db_close(dbt_db);
    dbt_open_with((struct db_config){.free_min_bytes = UINT64_MAX / 4});
    rig_start();
    p = rig_peer(0, "node-1");
    cx_peer_t q = rig_peer(0, "node-2");
    struct fe_exchange *x = rig_wait(rig_post(0, q, "rd", "lt=60&lwm2m=1.1&b=U", RIG_LINKS));
    ck_assert_uint_eq(x->code, CX_UNAVAILABLE);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, reg.location, NULL, NULL))->code, CX_CHANGED);
    x = rig_wait(rig_post(0, p, reg.location, "lt=999", NULL));
    ck_assert_uint_eq(x->code, CX_UNAVAILABLE);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, reg.location, NULL, NULL))->code, CX_CHANGED);
    ck_assert_uint_eq(rig_row("node-1").lifetime_s, 300);
    ck_assert(!rig_row("node-2").found);
}
END_TEST

START_TEST(a_second_register_during_the_first_is_left_to_be_repeated)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *one = rig_post(0, p, "rd", full_query, RIG_LINKS);
    struct fe_exchange *two = rig_post(0, p, "rd", full_query, RIG_LINKS);

    ck_assert(two->forgotten || one->answered); /* a fast store may be through by then */
    ck_assert_uint_eq(rig_wait(one)->code, CX_CREATED);
}
END_TEST

START_TEST(nosec_devices_belong_to_the_configured_account)
{
    rig_stop();
    rig.nosec_account = DBT_ACCOUNT;
    rig_start();
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_NONE, 0, "", 0, 0);
    struct fe_exchange *x = rig_wait(rig_post(0, p, "rd", "lt=60&lwm2m=1.1&b=U", RIG_LINKS));
    ck_assert_uint_eq(x->code, CX_FORBIDDEN); /* no name at all */
    struct fe_exchange reg = *rig_register(0, p, full_query);
    ck_assert(rig_row("node-1").registered);
    rig_restart();
    p = fe_peer_new(rig.e[1], CX_ID_NONE, 0, "", 0, 0);
    ck_assert_uint_eq(rig_wait(rig_post(1, p, reg.location, NULL, NULL))->code, CX_CHANGED);
    ck_assert_uint_eq(rig_wait(rig_post(1, p, "rd/0123456789abcdef", NULL, NULL))->code,
                      CX_NOT_FOUND);
}
END_TEST

static dr_err_t rekey_psk(struct db_writer *w, void *ctx)
{
    (void)ctx;
    return db_psk_rekey(w, DBT_ACCOUNT, "node-1", DB_PSK_OPERATOR,
                        dr_bytes_of("fedcba9876543210", 16));
}

START_TEST(keys_are_looked_up_with_their_endpoint)
{
    fe_psk_ask(rig.e[0], "id-node-1");
    RIG_UNTIL(rig.e[0]->psk_answered);
    ck_assert_uint_eq(rig.e[0]->psk_len, 16);
    ck_assert_mem_eq(rig.e[0]->psk_key, "0123456789abcdef", 16);
    ck_assert_str_eq(rig.e[0]->psk_name, "node-1");
    ck_assert_int_eq(rig.e[0]->psk_id.account, DBT_ACCOUNT);
    ck_assert_int_eq(rig.e[0]->psk_id.credential, 101);
    ck_assert_uint_eq(rig.e[0]->psk_id.version, 1);
    fe_psk_ask(rig.e[0], "nobody");
    RIG_UNTIL(rig.e[0]->psk_answered);
    ck_assert_uint_eq(rig.e[0]->psk_len, 0);
}
END_TEST

START_TEST(a_changed_key_ends_associations_and_old_ones_are_refused)
{
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, "node-1", 101, 1);
    struct fe_exchange *reg = rig_register(0, p, full_query);
    int64_t generation = rig_row("node-1").generation;

    ck_assert_int_eq(dbt_write(rekey_psk, NULL), DR_OK);
    dev_credential_changed(rig.core, DBT_ACCOUNT, "node-1");
    RIG_UNTIL(!fe_peer_alive(rig.e[0], p));
    ck_assert_int_gt(rig_row("node-1").generation, generation);
    ck_assert_uint_eq(rig_held(0), 0);
    p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, "node-1", 101, 1);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, reg->location, NULL, NULL))->code, CX_FORBIDDEN);
    p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, "node-1", 101, 2);
    ck_assert_uint_eq(rig_wait(rig_post(0, p, reg->location, NULL, NULL))->code, CX_CHANGED);
}
END_TEST

START_TEST(a_key_that_changes_while_its_device_registers_drops_it)
{
    cx_peer_t p = fe_peer_new(rig.e[0], CX_ID_PSK, DBT_ACCOUNT, "node-1", 101, 1);
    (void)rig_register(0, p, full_query); /* so that there is a row to find */
    cx_peer_t q = fe_peer_new(rig.e[1], CX_ID_PSK, DBT_ACCOUNT, "node-1", 101, 1);
    struct fe_exchange *x = rig_post(1, q, "rd", full_query, RIG_LINKS);

    dev_credential_changed(rig.core, DBT_ACCOUNT, "node-1");
    rig_wait(x);
    RIG_UNTIL(!fe_peer_alive(rig.e[0], p) && !fe_peer_alive(rig.e[1], q));
    RIG_UNTIL(rig_held(0) + rig_held(1) == 0);
}
END_TEST

static unsigned deleted;
static dr_err_t delete_err;

static void on_deleted(struct dev_delete *del, dr_err_t err)
{
    (void)del;
    deleted++;
    delete_err = err;
}

START_TEST(a_deleted_device_is_gone_and_may_come_anew)
{
    cx_peer_t p = rig_peer(1, "node-1");
    struct fe_exchange *reg = rig_register(1, p, full_query);
    struct dev_delete del = {.account = DBT_OTHER, .device = rig_device(reg), .cb = on_deleted};

    deleted = 0;
    ck_assert_int_eq(dev_delete_start(rig.core, &del), DR_OK);
    RIG_UNTIL(deleted == 1);
    ck_assert_int_eq(delete_err, DR_ERR_NOT_FOUND); /* of another account */
    del.account = DBT_ACCOUNT;
    ck_assert_int_eq(dev_delete_start(rig.core, &del), DR_OK);
    RIG_UNTIL(deleted == 2);
    ck_assert_int_eq(delete_err, DR_OK);
    ck_assert(!rig_row("node-1").found);
    RIG_UNTIL(rig_count(DEV_EVENT_DEREGISTERED) == 1);
    RIG_UNTIL(!fe_peer_alive(rig.e[1], p));
    p = rig_peer(1, "node-1");
    ck_assert_uint_eq(rig_wait(rig_post(1, p, reg->location, NULL, NULL))->code, CX_NOT_FOUND);
    struct fe_exchange *again = rig_register(1, p, full_query);
    ck_assert_str_ne(again->location, reg->location);
}
END_TEST

START_TEST(delete_in_the_middle_of_an_update_wins)
{
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct dev_delete del = {.account = DBT_ACCOUNT, .device = rig_device(reg), .cb = on_deleted};

    deleted = 0;
    ck_assert_int_eq(dev_delete_start(rig.core, &del), DR_OK);
    struct fe_exchange *x = rig_post(0, p, reg->location, "lt=999", NULL); /* behind it */
    RIG_UNTIL(deleted == 1);
    ck_assert_uint_eq(rig_wait(x)->code, CX_NOT_FOUND);
    rig_pause(20);
    ck_assert(!rig_row("node-1").found);
    ck_assert_uint_eq(rig_held(0), 0);
}
END_TEST

START_TEST(send_is_stored_told_and_checked)
{
    /* [{"bn":"/3303/0/5700","v":21.5}] */
    static const char senml[] = "[{\"bn\":\"/3303/0/5700\",\"v\":21.5}]";
    static const char strange[] = "[{\"bn\":\"/9999/0/1\",\"v\":1}]";
    cx_peer_t p = rig_peer(0, "node-1");
    struct fe_exchange *reg = rig_register(0, p, full_query);
    struct fe_exchange *x = fe_request(
        rig.e[0], p,
        FE_MSG(CX_POST, .path = "dp", .ct = FE_N(110), .payload = senml, .len = strlen(senml)));

    ck_assert_uint_eq(rig_wait(x)->code, CX_CHANGED);
    RIG_UNTIL(rig_count(DEV_EVENT_VALUE) == 1);
    struct rig_event *ev = rig_event_of(DEV_EVENT_VALUE, 0);
    ck_assert_str_eq(ev->path, "/3303/0/5700");
    ck_assert_str_eq(ev->payload, "21.5");
    ck_assert_str_eq(ev->ct, "text/plain");
    x = rig_wait(fe_request(rig.e[0], p,
                            FE_MSG(CX_POST, .path = "dp", .ct = FE_N(110), .payload = strange,
                                   .len = strlen(strange))));
    ck_assert_uint_eq(x->code, CX_NOT_FOUND);
    x = rig_wait(fe_request(
        rig.e[0], p, FE_MSG(CX_POST, .path = "dp", .ct = FE_N(0), .payload = "1", .len = 1)));
    ck_assert_uint_eq(x->code, CX_BAD_REQUEST);
    x = rig_wait(fe_request(
        rig.e[0], p, FE_MSG(CX_POST, .path = "dp", .ct = FE_N(110), .payload = "[{", .len = 2)));
    ck_assert_uint_eq(x->code, CX_BAD_REQUEST);
    /* a Send after a restart finds the registration by its identity */
    struct fe_exchange gone = *reg;
    (void)gone;
    rig_restart();
    p = rig_peer(1, "node-1");
    x = rig_wait(fe_request(
        rig.e[1], p,
        FE_MSG(CX_POST, .path = "dp", .ct = FE_N(110), .payload = senml, .len = strlen(senml))));
    ck_assert_uint_eq(x->code, CX_CHANGED);
    p = rig_peer(0, "stranger");
    x = rig_wait(fe_request(
        rig.e[0], p,
        FE_MSG(CX_POST, .path = "dp", .ct = FE_N(110), .payload = senml, .len = strlen(senml))));
    ck_assert_uint_eq(x->code, CX_NOT_FOUND);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("devices: registration");
    TCase *tc = tcase_create("register");

    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, register_answers_a_location_after_the_row_is_on_disk);
    tcase_add_loop_test(tc, register_is_refused_with_the_legal_code, 0,
                        (int)DR_ARRAY_LEN(refusals));
    tcase_add_test(tc, register_takes_the_name_of_the_credential_when_ep_is_absent);
    tcase_add_test(tc, registering_again_takes_over_and_takes_a_generation);
    tcase_add_test(tc, a_second_register_during_the_first_is_left_to_be_repeated);
    tcase_add_test(tc, nosec_devices_belong_to_the_configured_account);
    tcase_add_test(tc, a_full_store_gives_5_03_and_keeps_what_is_registered);
    suite_add_tcase(s, tc);

    tc = tcase_create("update");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, update_without_news_is_answered_at_once_and_not_stored);
    tcase_add_test(tc, update_with_news_is_stored_before_its_answer);
    tcase_add_test(tc, update_of_an_unknown_location_is_4_04);
    tcase_add_test(tc, update_with_the_identity_of_another_is_4_04);
    tcase_add_test(tc, update_over_a_new_association_of_the_same_identity_is_taken);
    tcase_add_test(tc, update_after_a_restart_finds_its_row);
    tcase_add_test(tc, last_seen_times_survive_without_row_updates);
    tcase_add_test(tc, rows_are_refreshed_once_in_a_quarter_of_the_lifetime);
    suite_add_tcase(s, tc);

    tc = tcase_create("end");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, deregister_ends_it_and_the_location);
    tcase_add_test(tc, deregister_after_a_restart_finds_its_row);
    tcase_add_test(tc, a_registration_ends_after_lifetime_and_grace);
    tcase_add_test(tc, an_update_prolongs_the_lifetime);
    tcase_add_test(tc, rows_that_ran_out_while_away_are_swept);
    tcase_add_test(tc, a_held_registration_is_not_swept);
    tcase_add_test(tc, a_deleted_device_is_gone_and_may_come_anew);
    tcase_add_test(tc, delete_in_the_middle_of_an_update_wins);
    suite_add_tcase(s, tc);

    tc = tcase_create("credentials and send");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
    tcase_add_test(tc, keys_are_looked_up_with_their_endpoint);
    tcase_add_test(tc, a_changed_key_ends_associations_and_old_ones_are_refused);
    tcase_add_test(tc, a_key_that_changes_while_its_device_registers_drops_it);
    tcase_add_test(tc, send_is_stored_told_and_checked);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return dbt_main(suite());
}
