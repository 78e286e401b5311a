/* SPDX-License-Identifier: Apache-2.0 */
#include "campaigns/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "campaigns/image_priv.h"
#include "coap/engine.h"
#include "db/db.h"
#include "manifest/key.h"

/* Waiting at once for an image to be checked; more are told to come again. */
#define WAITERS_MAX 65536
#define ETAG_LEN    8

/* An image that is served, or about to be: read the row, then map and hash the file in the pool. */
struct slot {
    struct dr_list node;
    struct camp_images *images;
    int64_t id;
    bool loading;
    bool doomed; /* deleted while it was loaded */
    struct dr_list waiters;
    unsigned n_waiters;
    struct db_read read;
    struct loop_work work;
    struct camp_image *image; /* owned reference; being filled while loading */
    dr_err_t err;
};

void camp_file_name(int64_t id, const char *ending, char out[CAMP_FILE_NAME_MAX + 1])
{
    dr_assert(strlen(ending) <= CAMP_FILE_NAME_MAX - DR_ID_LEN);
    dr_id_format(id, out);
    memcpy(out + DR_ID_LEN, ending, strlen(ending) + 1);
}

static dr_err_t io_error(int code)
{
    return code == ENOSPC || code == EDQUOT ? DR_ERR_NOSPACE
           : code == ENOMEM                 ? DR_ERR_NOMEM
                                            : DR_ERR_IO;
}

/* ---- images ---- */

struct camp_image *camp_image_ref(struct camp_image *image)
{
    dr_assert(image != NULL);
    (void)atomic_fetch_add_explicit(&image->refs, 1, memory_order_relaxed);
    return image;
}

struct camp_image *camp_image_unref(struct camp_image *image)
{
    if (image != NULL && atomic_fetch_sub_explicit(&image->refs, 1, memory_order_acq_rel) == 1) {
        image->body = cx_body_unref(image->body);
        if (image->map != NULL) {
            (void)munmap(image->map, (size_t)image->size);
        }
        if (image->fd >= 0) {
            (void)close(image->fd);
        }
        free(image);
    }
    return NULL;
}

bool camp_image_gone(const struct camp_image *image)
{
    dr_assert(image != NULL);
    return atomic_load_explicit(&image->gone, memory_order_acquire);
}

/* ---- loading ---- */

/* The row into the image that is being made. */
static dr_err_t row_take(void *data, const struct db_image *row)
{
    struct camp_image *image = data;

    if (strlen(row->token) != DB_TOKEN_LEN || strlen(row->sha256) != DB_DIGEST_LEN ||
        row->size < 0 || (uint64_t)row->size > CAMP_UPLOAD_MAX) {
        return DR_ERR_CORRUPT;
    }
    image->account = row->account;
    image->size = (uint64_t)row->size;
    memcpy(image->token, row->token, sizeof image->token);
    memcpy(image->sha256, row->sha256, sizeof image->sha256);
    return DR_OK;
}

static dr_err_t row_read(struct db_reader *r, struct db_read *read)
{
    struct slot *s = DR_CONTAINER_OF(read, struct slot, read);

    return db_image_get(r, 0, s->id, row_take, s->image);
}

/* On the pool: the file, mapped, has the digest of its row. */
static dr_err_t file_map(struct camp_images *images, struct camp_image *image)
{
    char name[CAMP_FILE_NAME_MAX + 1];
    char hex[DB_DIGEST_LEN + 1];
    uint8_t digest[MANIFEST_DIGEST_LEN];
    struct stat st;

    camp_file_name(image->id, "", name);
    image->fd = openat(images->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (image->fd < 0) {
        return errno == ENOENT ? DR_ERR_CORRUPT : io_error(errno);
    }
    if (fstat(image->fd, &st) != 0) {
        return DR_ERR_IO;
    }
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != image->size) {
        return DR_ERR_CORRUPT;
    }
    if (image->size != 0) {
        void *map = mmap(NULL, (size_t)image->size, PROT_READ, MAP_SHARED, image->fd, 0);
        if (map == MAP_FAILED) {
            return io_error(errno);
        }
        image->map = map;
    }
    manifest_sha256(dr_bytes_of(image->map, (size_t)image->size), digest);
    dr_hex_encode(digest, sizeof digest, hex);
    if (strcmp(hex, image->sha256) != 0) {
        return DR_ERR_CORRUPT;
    }
    image->body = cx_body_new(image->map, (size_t)image->size, digest, ETAG_LEN, NULL, NULL);
    return image->body == NULL ? DR_ERR_NOMEM : DR_OK;
}

static struct camp_image *image_new(int64_t id)
{
    struct camp_image *image = calloc(1, sizeof *image);

    if (image != NULL) {
        atomic_init(&image->refs, 1);
        atomic_init(&image->gone, false);
        image->id = id;
        image->fd = -1;
    }
    return image;
}

dr_err_t camp_image_map(struct camp_images *images, int64_t id, uint64_t size, const char *sha256,
                        struct camp_image **ret)
{
    dr_assert(images != NULL && ret != NULL && strlen(sha256) == DB_DIGEST_LEN);
    struct camp_image *image = image_new(id);
    if (image == NULL) {
        return DR_ERR_NOMEM;
    }
    image->size = size;
    memcpy(image->sha256, sha256, sizeof image->sha256);
    dr_err_t err = file_map(images, image);
    if (err != DR_OK) {
        (void)camp_image_unref(image);
        return err;
    }
    *ret = image;
    return DR_OK;
}

static void map_run(struct loop_work *work)
{
    struct slot *s = DR_CONTAINER_OF(work, struct slot, work);

    s->err = file_map(s->images, s->image);
}

static void slot_free(struct slot *s)
{
    dr_assert(!s->loading && dr_list_empty(&s->waiters));
    dr_list_remove(&s->node);
    s->images->n_slots--;
    (void)camp_image_unref(s->image);
    free(s);
}

/* Loading is over: everybody who waits gets the result. */
static void slot_loaded(struct slot *s, dr_err_t err)
{
    struct camp_images *images = s->images;
    struct dr_list *it;

    if (err != DR_OK && err != DR_ERR_NOT_FOUND) {
        char id[DR_ID_LEN + 1];
        dr_id_format(s->id, id);
        dr_log(DR_LOG_ERROR, "images", "image '%s' cannot be served: %s", id, dr_err_str(err));
    }
    err = err == DR_OK && s->doomed ? DR_ERR_NOT_FOUND : err;
    while ((it = dr_list_pop_front(&s->waiters)) != NULL) {
        struct camp_image_get *get = DR_CONTAINER_OF(it, struct camp_image_get, node);
        bool theirs = err == DR_OK && (get->account == 0 || get->account == s->image->account);
        dr_err_t answer = err == DR_OK && !theirs ? DR_ERR_NOT_FOUND : err;
        get->cb(get, answer, answer == DR_OK ? s->image : NULL);
        camp_images_release(images);
    }
    s->loading = false; /* not before: a callback may ask again, or delete */
    if (err != DR_OK || s->doomed) {
        slot_free(s);
    }
    camp_images_release(images);
}

static void map_done(struct loop_work *work, dr_err_t err)
{
    struct slot *s = DR_CONTAINER_OF(work, struct slot, work);

    slot_loaded(s, err == DR_OK ? s->err : err);
}

static void row_done(struct db_read *read, dr_err_t err)
{
    struct slot *s = DR_CONTAINER_OF(read, struct slot, read);

    if (err == DR_OK) {
        err = loop_work_start(s->images->loop, &s->work, map_run, map_done);
        if (err == DR_OK) {
            return;
        }
    }
    slot_loaded(s, err);
}

/* Mappings that nobody has asked for in a while make room; who downloads keeps his reference. */
static void slots_trim(struct camp_images *images)
{
    struct dr_list *it = images->slots.prev;

    while (images->n_slots > CAMP_IMAGES_OPEN_MAX && it != &images->slots) {
        struct slot *s = DR_CONTAINER_OF(it, struct slot, node);
        it = it->prev;
        if (!s->loading) {
            slot_free(s);
        }
    }
}

static dr_err_t slot_new(struct camp_images *images, int64_t id, struct slot **ret)
{
    struct slot *s = calloc(1, sizeof *s);
    struct camp_image *image = image_new(id);
    if (s == NULL || image == NULL) {
        free(s);
        free(image);
        return DR_ERR_NOMEM;
    }
    *s = (struct slot){.images = images, .id = id, .image = image, .loading = true};
    dr_list_init(&s->waiters);
    s->read = (struct db_read){.home = images->loop, .fn = row_read, .done = row_done};
    dr_err_t err = db_read_start(images->db, &s->read);
    if (err != DR_OK) {
        free(image);
        free(s);
        return err;
    }
    images->pending++;
    images->n_slots++;
    dr_list_push_front(&images->slots, &s->node);
    *ret = s;
    return DR_OK;
}

static struct slot *slot_find(struct camp_images *images, int64_t id)
{
    DR_LIST_EACH(it, &images->slots)
    {
        struct slot *s = DR_CONTAINER_OF(it, struct slot, node);
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

/* An answer that is there at once still comes later. */
struct soon {
    struct loop_msg msg;
    struct camp_images *images;
    struct camp_image_get *get;
    dr_err_t err;
    struct camp_image *image;
};

static void soon_run(struct loop_msg *msg)
{
    struct soon *x = DR_CONTAINER_OF(msg, struct soon, msg);
    struct camp_images *images = x->images;

    x->get->cb(x->get, x->err, x->image);
    (void)camp_image_unref(x->image);
    free(x);
    camp_images_release(images);
}

static void answer_soon(struct camp_images *images, struct camp_image_get *get, dr_err_t err,
                        struct camp_image *image)
{
    struct soon *x = calloc(1, sizeof *x);

    if (x == NULL) { /* the one case in which it does not */
        get->cb(get, DR_ERR_NOMEM, NULL);
        return;
    }
    *x = (struct soon){.images = images,
                       .get = get,
                       .err = err,
                       .image = err == DR_OK ? camp_image_ref(image) : NULL};
    images->pending++;
    loop_post(images->loop, &x->msg, soon_run);
}

void camp_image_get_start(struct camp_images *images, struct camp_image_get *get)
{
    dr_assert(images != NULL && get != NULL && get->cb != NULL);
    struct slot *s = slot_find(images, get->id);
    dr_err_t err = images->stopping ? DR_ERR_CANCELED : DR_OK;

    if (err == DR_OK && s != NULL && !s->loading) {
        dr_list_remove(&s->node);
        dr_list_push_front(&images->slots, &s->node);
        bool theirs = get->account == 0 || get->account == s->image->account;
        answer_soon(images, get, theirs ? DR_OK : DR_ERR_NOT_FOUND, s->image);
        return;
    }
    if (err == DR_OK && s == NULL) {
        err = slot_new(images, get->id, &s);
        slots_trim(images);
    } else if (err == DR_OK && s->n_waiters >= WAITERS_MAX) {
        err = DR_ERR_BUSY;
    }
    if (err != DR_OK) {
        answer_soon(images, get, err, NULL);
        return;
    }
    s->n_waiters++;
    images->pending++;
    dr_list_push_back(&s->waiters, &get->node);
}

/* ---- deleting ---- */

struct removal {
    struct loop_work work;
    struct camp_images *images;
    char name[CAMP_FILE_NAME_MAX + 1];
};

static void removal_run(struct loop_work *work)
{
    struct removal *x = DR_CONTAINER_OF(work, struct removal, work);

    (void)unlinkat(x->images->dir_fd, x->name, 0);
}

static void removal_done(struct loop_work *work, dr_err_t err)
{
    struct removal *x = DR_CONTAINER_OF(work, struct removal, work);
    struct camp_images *images = x->images;

    (void)err; /* what stays is swept at the next start */
    free(x);
    camp_images_release(images);
}

void camp_images_remove(struct camp_images *images, int64_t id, const char *ending)
{
    struct removal *x = calloc(1, sizeof *x);

    if (x == NULL) {
        return;
    }
    x->images = images;
    camp_file_name(id, ending, x->name);
    if (loop_work_start(images->loop, &x->work, removal_run, removal_done) != DR_OK) {
        free(x);
        return;
    }
    images->pending++;
}

void camp_image_forget(struct camp_images *images, int64_t id)
{
    dr_assert(images != NULL);
    struct slot *s = slot_find(images, id);

    if (s != NULL) {
        atomic_store_explicit(&s->image->gone, true, memory_order_release);
        s->doomed = true;
        if (!s->loading) {
            slot_free(s);
        }
    }
    camp_images_remove(images, id, "");
    if (images->forgotten != NULL) {
        images->forgotten(images->forgotten_data);
    }
}

void camp_images_on_forget(struct camp_images *images, void (*fn)(void *data), void *data)
{
    dr_assert(images != NULL);
    images->forgotten = fn;
    images->forgotten_data = data;
}

/* ---- the sweep at the start ---- */

struct sweep {
    struct db_read read;
    sem_t done;
    dr_err_t err;
    int64_t *ids; /* owned; in order: images, then open jobs behind n_images */
    size_t n, cap, n_images;
};

static dr_err_t id_add(void *data, int64_t id)
{
    struct sweep *s = data;

    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 256 : s->cap * 2;
        int64_t *grown = realloc(s->ids, cap * sizeof *grown);
        if (grown == NULL) {
            return DR_ERR_NOMEM;
        }
        s->ids = grown;
        s->cap = cap;
    }
    s->ids[s->n++] = id;
    return DR_OK;
}

static dr_err_t ids_read(struct db_reader *r, struct db_read *read)
{
    struct sweep *s = DR_CONTAINER_OF(read, struct sweep, read);
    dr_err_t err = db_image_ids(r, id_add, s);

    s->n_images = s->n;
    return err == DR_OK ? db_upload_ids(r, id_add, s) : err;
}

static void ids_done(struct db_read *read, dr_err_t err)
{
    struct sweep *s = DR_CONTAINER_OF(read, struct sweep, read);

    s->err = err;
    (void)sem_post(&s->done);
}

static int id_cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Does the file belong to a row? Names that are not ours stay. */
static bool orphan(const struct sweep *s, const char *name)
{
    int64_t id = 0;
    size_t len = strlen(name);

    if (len < DR_ID_LEN || dr_id_parse(name, DR_ID_LEN, &id) != DR_OK) {
        return false;
    }
    const char *ending = name + DR_ID_LEN;
    if (strcmp(ending, ".tmp") == 0) {
        return true;
    }
    if (ending[0] == '\0') {
        return bsearch(&id, s->ids, s->n_images, sizeof id, id_cmp) == NULL;
    }
    return strcmp(ending, ".part") == 0 &&
           bsearch(&id, s->ids + s->n_images, s->n - s->n_images, sizeof id, id_cmp) == NULL;
}

static dr_err_t folder_sweep(struct camp_images *images, const struct sweep *s)
{
    int fd = openat(images->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    unsigned removed = 0;

    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return DR_ERR_IO;
    }
    while ((e = readdir(dir)) != NULL) {
        if (orphan(s, e->d_name) && unlinkat(images->dir_fd, e->d_name, 0) == 0) {
            removed++;
        }
    }
    (void)closedir(dir);
    if (removed != 0) {
        dr_log(DR_LOG_INFO, "images", "%u files of unfinished uploads removed", removed);
    }
    return DR_OK;
}

static dr_err_t sweep(struct camp_images *images)
{
    static const int64_t none = 0;
    struct sweep s = {.read = {.home = NULL, .fn = ids_read, .done = ids_done}};

    if (sem_init(&s.done, 0, 0) != 0) {
        return DR_ERR_INTERNAL;
    }
    dr_err_t err = db_read_start(images->db, &s.read);
    if (err == DR_OK) {
        while (sem_wait(&s.done) != 0) {
        }
        err = s.err;
    }
    if (err == DR_OK) {
        int64_t *owned = s.ids;
        s.ids = owned == NULL ? (int64_t *)(uintptr_t)&none : owned; /* bsearch wants a place */
        err = folder_sweep(images, &s);
        s.ids = owned;
    }
    free(s.ids);
    (void)sem_destroy(&s.done);
    return err;
}

/* ---- life ---- */

dr_err_t camp_images_new(const struct camp_images_config *config, struct camp_images **ret,
                         struct dr_errinfo *reterr)
{
    dr_assert(config != NULL && config->control != NULL && config->db != NULL && ret != NULL);
    struct camp_images *images = calloc(1, sizeof *images);
    if (images == NULL) {
        return DR_ERR_NOMEM;
    }
    images->loop = config->control;
    images->db = config->db;
    images->image_max = config->image_max == 0 ? CAMP_IMAGE_MAX : config->image_max;
    images->upload_max = config->upload_max == 0 || config->upload_max > CAMP_UPLOAD_MAX
                             ? CAMP_UPLOAD_MAX
                             : config->upload_max;
    images->image_max =
        images->image_max > images->upload_max ? images->upload_max : images->image_max;
    images->chunk_max = config->chunk_max == 0 ? CAMP_CHUNK_MAX : config->chunk_max;
    images->free_min_bytes = config->free_min_bytes;
    for (unsigned i = 0; i < CAMP_BASES_MAX; i++) {
        const char *base = config->bases[i] == NULL ? "" : config->bases[i];
        dr_assert(strlen(base) <= CAMP_BASE_MAX);
        memcpy(images->bases[i], base, strlen(base) + 1);
    }
    dr_list_init(&images->slots);
    dr_err_t err = dr_idgen_init(&images->ids, NULL, NULL);
    if (err != DR_OK) {
        free(images);
        return err;
    }
    if (mkdir(config->dir, 0700) != 0 && errno != EEXIST) {
        err = io_error(errno);
    }
    images->dir_fd = open(config->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (err == DR_OK && images->dir_fd < 0) {
        err = io_error(errno);
    }
    if (err != DR_OK) {
        dr_errinfo_set(reterr, config->dir, 0, "cannot be used: %s", strerror(errno));
    } else {
        err = sweep(images);
    }
    if (err != DR_OK) {
        return camp_images_free(images) == NULL ? err : err;
    }
    *ret = images;
    return DR_OK;
}

static void stopped(struct loop_timer *t)
{
    struct camp_images *images = DR_CONTAINER_OF(t, struct camp_images, later);
    void (*done)(void *data) = images->stopped;

    images->stopped = NULL;
    done(images->stopped_data);
}

void camp_images_release(struct camp_images *images)
{
    dr_assert(images->pending > 0);
    images->pending--;
    if (images->pending == 0 && images->stopped != NULL) {
        loop_timer_start(images->loop, &images->later, 0, 0, stopped);
    }
}

void camp_images_stop(struct camp_images *images, void (*done)(void *data), void *data)
{
    dr_assert(images != NULL && done != NULL && !images->stopping);
    images->stopping = true;
    images->stopped = done;
    images->stopped_data = data;
    images->pending++;
    camp_images_release(images);
}

struct camp_images *camp_images_free(struct camp_images *images)
{
    if (images == NULL) {
        return NULL;
    }
    dr_assert(images->pending == 0);
    DR_LIST_EACH_SAFE(it, &images->slots)
    {
        slot_free(DR_CONTAINER_OF(it, struct slot, node));
    }
    if (images->dir_fd >= 0) {
        (void)close(images->dir_fd);
    }
    dr_idgen_fini(&images->ids);
    free(images);
    return NULL;
}

uint64_t camp_images_image_max(const struct camp_images *images)
{
    dr_assert(images != NULL);
    return images->image_max;
}

uint64_t camp_images_upload_max(const struct camp_images *images)
{
    dr_assert(images != NULL);
    return images->upload_max;
}

uint64_t camp_images_chunk_max(const struct camp_images *images)
{
    dr_assert(images != NULL);
    return images->chunk_max;
}
