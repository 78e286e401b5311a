/* SPDX-License-Identifier: Apache-2.0 */
/* Updates cut in every flash write: the device always comes back, and the next update works. */
#include "tests/unit/client/rig.h"
#include "tests/unit/run.h"

#define BOOTS_MAX 12

/* What the world knows of one device; outlives its power. */
static struct {
    struct cl_layout lay;
    const struct rig_image *images[3]; /* v1, target, spare */
    const struct rig_image *old, *target;
    bool target_bad;    /* crashes in each trial */
    bool was_confirmed; /* a confirmation returned */
    bool was_rejected;  /* seen rejected */
} world;

static struct rig_image v1, v2, v3;

static uint32_t version_of(const struct rig_image *img)
{
    return cl_get32(img->raw + 16);
}

static void whole_images_only(void)
{
    for (int slot = 0; slot < CL_SLOTS; slot++) {
        uint32_t base = (uint32_t)slot * RIG_SLOT;
        struct cl_header h;
        if (cl_header_check(&world.lay, &rig_trust, rig.mem + base, &h) != CL_OK) {
            continue;
        }
        bool known = false;
        for (int i = 0; i < 3; i++) {
            known =
                known || (world.images[i] != NULL && version_of(world.images[i]) == h.version &&
                          memcmp(world.images[i]->raw, rig.mem + base, world.images[i]->len) == 0);
        }
        REQUIRE(known, "a slot with a header has its whole body");
    }
}

static cl_err_t install(const struct rig_image *img, int slot, uint32_t floor, uint32_t running)
{
    struct cl_install inst;
    cl_err_t err = CL_OK;

    cl_install_begin(&inst, &world.lay, slot);
    for (uint32_t at = 0; err == CL_OK && at < img->len; at += 100) {
        uint32_t n = img->len - at < 100 ? img->len - at : 100;
        err = cl_install_write(&inst, &rig_trust, floor, running, img->raw + at, n);
    }
    if (err == CL_OK) {
        err = cl_install_finish(&inst);
    }
    if (err == CL_OK) {
        err = cl_install_request(&world.lay, &rig_trust, slot);
    }
    return err;
}

/* One power-on up to the next reset. True: nothing is left to do. */
static bool power_on(void)
{
    struct cl_slot_state slots[CL_SLOTS];
    struct cl_boot boot;

    REQUIRE(cl_layout_init(RIG_SLOT, &world.lay) == CL_OK, "layout");
    whole_images_only();
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK, "boot decides");
    REQUIRE(boot.act == CL_BOOT_RUN || boot.act == CL_BOOT_TRIAL,
            "there is always an image to start");
    for (int i = 0; i < CL_SLOTS; i++) {
        cl_slot_read(&world.lay, &rig_trust, i, &slots[i]);
    }
    uint32_t running = slots[boot.slot].header.version;
    bool is_target = running == version_of(world.target);
    REQUIRE(running == version_of(world.old) || is_target,
            "what starts is the old or the new image");
    REQUIRE(!world.was_confirmed || (is_target && boot.act == CL_BOOT_RUN),
            "a confirmed image stays");
    REQUIRE(!(world.was_rejected && is_target), "a rejected image never starts again");
    if (boot.act == CL_BOOT_TRIAL) {
        REQUIRE(is_target, "only the new image is on trial");
        if (world.target_bad) {
            return false; /* crash */
        }
        cl_err_t err = cl_boot_confirm(&world.lay, &rig_trust, &boot);
        REQUIRE(err == CL_OK, "a good image can confirm");
        world.was_confirmed = true;
        return false;
    }
    if (is_target) {
        REQUIRE(!world.target_bad, "a bad image is never confirmed");
        world.was_confirmed = true; /* also when the cut tore the confirmation */
        return true;
    }
    const struct cl_slot_state *other = &slots[1 - boot.slot];
    if (other->valid && other->header.version == version_of(world.target) && other->rejected) {
        REQUIRE(world.target_bad, "a good image is never rejected");
        world.was_rejected = true;
        return true;
    }
    REQUIRE(install(world.target, 1 - boot.slot, cl_boot_floor(slots, hal_counter_get()),
                    running) == CL_OK,
            "an update can be installed");
    return false;
}

static void live(void)
{
    rig_live(power_on, BOOTS_MAX);
}

static void factory(void)
{
    rig_reset();
    memset(&world, 0, sizeof world);
    rig_image_make(&v1, 1, 5, 700, 0);
    rig_image_make(&v2, 2, 6, 1301, 0);
    rig_image_make(&v3, 3, 6, 1100, 0);
    REQUIRE(cl_layout_init(RIG_SLOT, &world.lay) == CL_OK, "layout");
    REQUIRE(install(&v1, 0, 0, 0) == CL_OK, "factory image");
    struct cl_boot boot;
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK && boot.act == CL_BOOT_TRIAL,
            "first start");
    REQUIRE(cl_boot_confirm(&world.lay, &rig_trust, &boot) == CL_OK, "first confirmation");
}

static void aim(const struct rig_image *old, const struct rig_image *target, bool bad)
{
    world.old = old;
    world.images[0] = &v1;
    world.images[1] = &v2;
    world.images[2] = &v3;
    world.target = target;
    world.target_bad = bad;
    world.was_confirmed = world.was_rejected = false;
}

/* Both an update and the one after it, with a cut in write n and perhaps one more after it. */
static bool one_life(uint64_t n, enum nor_tear tear, uint32_t from, bool bad, bool twice)
{
    factory();
    if (bad) { /* v2 fails without any cut; the cut comes when v3 replaces it */
        aim(&v1, &v2, true);
        live();
        REQUIRE(world.was_rejected, "rejected");
        aim(&v1, &v3, false);
        rig_cut(n, tear, from, (uint32_t)n);
        live();
        REQUIRE(world.was_confirmed, "the update arrives in the end");
        return rig.nor.cut_at == 0;
    }
    aim(&v1, &v2, false);
    rig_cut(n, tear, from, (uint32_t)n);
    if (twice && setjmp(rig.off) == 0) {
        (void)power_on();
    }
    bool hit = rig.nor.cut_at == 0;
    if (twice && hit) {
        rig_cut(1 + n * 7 % 23, tear, from, (uint32_t)n + 99);
    }
    live();
    hit = hit || rig.nor.cut_at == 0;
    rig.nor.cut_at = 0;
    REQUIRE(world.was_confirmed, "the update arrives in the end");
    /* v2 is what runs now: the next update starts from it */
    aim(&v2, &v3, false);
    live();
    REQUIRE(world.was_confirmed, "the next update works");
    return hit;
}

static void every_cut(bool bad, bool twice)
{
    static const uint32_t edges[] = {0, 8, 16, 24, 32, 40, 48};

    for (int tear = 0; tear < NOR_TEARS; tear++) {
        size_t kinds =
            tear == NOR_TEAR_HEAD || tear == NOR_TEAR_TAIL ? sizeof edges / sizeof *edges : 1;
        for (size_t e = 0; e < kinds; e++) {
            uint64_t n = 1;
            while (one_life(n, (enum nor_tear)tear, edges[e], bad, twice)) {
                n++;
            }
            REQUIRE(n > 150, "the cuts reach the end of the update");
        }
    }
}

static void good_update(void)
{
    every_cut(false, false);
}

static void good_update_cut_twice(void)
{
    every_cut(false, true);
}

static void update_over_a_rejected_image(void)
{
    every_cut(true, false);
}

static void bad_update(void)
{
    for (int tear = 0; tear < NOR_TEARS; tear++) {
        for (uint64_t n = 1;; n++) {
            factory();
            aim(&v1, &v2, true);
            rig_cut(n, (enum nor_tear)tear, 0, (uint32_t)n);
            live();
            if (rig.nor.cut_at != 0) {
                REQUIRE(n > 150, "the cuts reach the end of the update");
                break;
            }
            REQUIRE(!world.was_confirmed && world.was_rejected, "back on the old image");
            aim(&v1, &v3, false);
            live();
            REQUIRE(world.was_confirmed, "the next update works");
        }
    }
}

static void old_counter(void)
{
    struct rig_image old;
    struct cl_boot boot;
    struct cl_slot_state slots[CL_SLOTS];

    factory();
    rig_image_make(&old, 9, 4, 700, 0);
    uint8_t before[RIG_SLOT];
    memcpy(before, rig.mem + RIG_SLOT, sizeof before);
    REQUIRE(install(&old, 1, 5, 1) == CL_ERR_OLD, "an image below the counter is refused");
    REQUIRE(memcmp(before, rig.mem + RIG_SLOT, sizeof before) == 0,
            "and nothing was erased for it");
    /* the same put there past the check */
    REQUIRE(install(&old, 1, 0, 1) == CL_OK, "placed by force");
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK && boot.act == CL_BOOT_RUN &&
                boot.slot == 0,
            "boot rejects it");
    cl_slot_read(&world.lay, &rig_trust, 1, &slots[1]);
    REQUIRE(slots[1].rejected, "for good");
}

static void counter_of_the_hardware(void)
{
    struct cl_boot boot;

    factory();
    rig.counter = 6;
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK && boot.act == CL_BOOT_NONE,
            "a confirmed image below the hardware counter does not start");
}

static void forged(void)
{
    struct rig_image img;

    factory();
    rig_image_make(&img, 9, 9, 700, 0);
    img.raw[16] ^= 1; /* another version than the signed one */
    REQUIRE(install(&img, 1, 5, 1) == CL_ERR_AUTH, "a forged header is refused");
    rig_image_make(&img, 9, 9, 700, 0);
    img.raw[CL_HEADER_LEN + 5] ^= 1;
    REQUIRE(install(&img, 1, 5, 1) == CL_ERR_AUTH, "a changed body is refused");
    struct cl_boot boot;
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK && boot.act == CL_BOOT_RUN &&
                boot.slot == 0,
            "the old image still runs");
}

static void rot(void)
{
    struct cl_boot boot;

    factory();
    aim(&v1, &v2, false);
    live();
    rig.mem[RIG_SLOT + CL_HEADER_LEN + 3] ^= 4;
    rig.counter = 0;
    REQUIRE(cl_boot(&world.lay, &rig_trust, &boot) == CL_OK && boot.act == CL_BOOT_RUN &&
                boot.slot == 0,
            "a body that rotted does not start; the older image does");
}

START_TEST(good_image_survives_every_cut)
{
    good_update();
}
END_TEST

START_TEST(good_image_survives_two_cuts)
{
    good_update_cut_twice();
}
END_TEST

START_TEST(rejected_image_never_returns)
{
    update_over_a_rejected_image();
}
END_TEST

START_TEST(bad_image_is_rolled_back_after_any_cut)
{
    bad_update();
}
END_TEST

START_TEST(older_counter_is_refused)
{
    old_counter();
    counter_of_the_hardware();
}
END_TEST

START_TEST(forged_image_is_refused)
{
    forged();
}
END_TEST

START_TEST(rotten_body_does_not_start)
{
    rot();
}
END_TEST

START_TEST(older_version_needs_the_signers_leave)
{
    struct rig_image img;

    factory();
    rig_image_make(&img, 1, 5, 700, 0);
    ck_assert_int_eq(install(&img, 1, 5, 1), CL_ERR_OLD);
    rig_image_make(&img, 0, 5, 700, CL_HEADER_DOWNGRADE);
    ck_assert_int_eq(install(&img, 1, 5, 1), CL_OK);
}
END_TEST

START_TEST(lengths_are_checked_before_erasing)
{
    struct rig_image img;
    struct cl_install inst;

    factory();
    uint64_t writes = rig.nor.writes;
    rig_image_make(&img, 2, 6, 700, 0);
    cl_put32(img.raw + 12, RIG_SLOT - RIG_SECTOR - CL_HEADER_LEN + 1);
    ck_assert_int_eq(install(&img, 1, 5, 1), CL_ERR_SPACE);
    cl_put32(img.raw + 12, 0);
    ck_assert_int_eq(install(&img, 1, 5, 1), CL_ERR_SPACE);
    img.raw[0] = 'X';
    ck_assert_int_eq(install(&img, 1, 5, 1), CL_ERR_INVAL);
    ck_assert_uint_eq(rig.nor.writes, writes);
    rig_image_make(&img, 2, 6, 700, 0);
    cl_install_begin(&inst, &world.lay, 1);
    ck_assert_int_eq(cl_install_write(&inst, &rig_trust, 5, 1, img.raw, 700), CL_OK);
    ck_assert_int_eq(cl_install_finish(&inst), CL_ERR_STATE);
    ck_assert_int_eq(cl_install_write(&inst, &rig_trust, 5, 1, img.raw, 700), CL_ERR_SPACE);
}
END_TEST

START_TEST(install_order_wins_across_the_wrap)
{
    struct cl_slot_state s[2] = {
        {.valid = true, .pending = true, .confirmed = true, .seq = 0xffffffffu},
        {.valid = true, .pending = true, .confirmed = true, .seq = 0},
    };
    ck_assert_int_eq(cl_boot_decide(s, 0).slot, 1);
    s[1].seq = 0xfffffffeu;
    ck_assert_int_eq(cl_boot_decide(s, 0).slot, 0);
    s[0].valid = false;
    ck_assert_int_eq(cl_boot_decide(s, 0).slot, 1);
    s[1].confirmed = false;
    s[1].rejected = true;
    ck_assert_int_eq(cl_boot_decide(s, 0).act, CL_BOOT_NONE);
}
END_TEST

static const struct {
    enum cl_rule rule;
    void (*scenario)(void);
} mutants[] = {
    {CL_RULE_HEADER_FIRST, update_over_a_rejected_image},
    {CL_RULE_HEADER_LAST, good_update},
    {CL_RULE_DIGEST, rot},
    {CL_RULE_SIGNATURE, forged},
    {CL_RULE_TRIES, bad_update},
    {CL_RULE_FLOOR, old_counter},
    {CL_RULE_FLOOR, counter_of_the_hardware},
    {CL_RULE_TORN_CONFIRM, good_update},
};

START_TEST(each_rule_is_needed)
{
    ck_assert_msg(!rig_turns_red(CL_RULE_NONE, mutants[_i].scenario), "green with all rules on");
    ck_assert_msg(rig_turns_red(mutants[_i].rule, mutants[_i].scenario), "rule %d",
                  mutants[_i].rule);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("client boot");
    TCase *tc = add_case(suite, "cuts");

    tcase_add_test(tc, good_image_survives_every_cut);
    tcase_add_test(tc, good_image_survives_two_cuts);
    tcase_add_test(tc, rejected_image_never_returns);
    tcase_add_test(tc, bad_image_is_rolled_back_after_any_cut);
    tc = add_case(suite, "rules");
    tcase_add_test(tc, older_counter_is_refused);
    tcase_add_test(tc, forged_image_is_refused);
    tcase_add_test(tc, rotten_body_does_not_start);
    tcase_add_test(tc, older_version_needs_the_signers_leave);
    tcase_add_test(tc, lengths_are_checked_before_erasing);
    tcase_add_test(tc, install_order_wins_across_the_wrap);
    tcase_add_loop_test(tc, each_rule_is_needed, 0, sizeof mutants / sizeof *mutants);
    return run_suite(suite);
}
