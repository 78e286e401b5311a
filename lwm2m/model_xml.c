/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read of <LWM2M><Object> … </Object></LWM2M>:
 *
 *   Object / Name, ObjectID, ObjectVersion, MultipleInstances (Single, Multiple), Mandatory
 * (Mandatory, Optional) Object / Resources / Item @ID / Name, Operations, MultipleInstances,
 * Mandatory, Type, RangeEnumeration, Units
 */
#include "lwm2m/model_xml.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "base/buf.h"
#include "base/text.h"
#include "lwm2m/model_priv.h"
#include "lwm2m/util_priv.h"

#define FILE_PATH_MAX 4096

/* Texts of one resource while it is being read; all are ended by NUL. */
struct xml_res {
    struct lwm2m_res_def def;
    char name[LWM2M_XML_TEXT_MAX];
    char range[LWM2M_XML_TEXT_MAX];
    char units[LWM2M_XML_TEXT_MAX];
};

/* One object of the document. */
struct xml_obj {
    struct lwm2m_obj_def def;
    bool has_id;
    char name[LWM2M_XML_TEXT_MAX];
    struct xml_res *res; /**< owned */
    size_t count, cap;
};

struct loader {
    XML_Parser parser;
    struct lwm2m_models *models; /**< borrowed */
    const char *file;
    struct dr_errinfo *reterr;
    dr_err_t err; /**< first fault; the parser is stopped then */
    unsigned depth;
    bool seen_root, in_object, in_resources, in_item;
    struct xml_obj obj;
    char text[LWM2M_XML_TEXT_MAX]; /**< of the element that is open */
    size_t text_len;
    size_t done_count; /**< objects added */
};

static void fail(struct loader *l, dr_err_t err, const char *why)
{
    if (l->err == DR_OK) {
        l->err = err;
        dr_errinfo_set(l->reterr, l->file, (long)XML_GetCurrentLineNumber(l->parser), "%s", why);
        (void)XML_StopParser(l->parser, XML_FALSE);
    }
}

/* ---- values ---- */

static struct lwm2m_str text_of(const struct loader *l)
{
    return lwm2m_str_trim((struct lwm2m_str){.ptr = l->text, .len = l->text_len});
}

static void text_to(const struct loader *l, char out[LWM2M_XML_TEXT_MAX])
{
    struct lwm2m_str s = text_of(l);
    size_t n = s.len < LWM2M_XML_TEXT_MAX ? s.len : LWM2M_XML_TEXT_MAX - 1;

    /* a cut must not end inside a character */
    while (n > 0 && n < s.len && ((unsigned char)s.ptr[n] & 0xc0) == 0x80) {
        n--;
    }
    memcpy(out, s.ptr, n);
    out[n] = '\0';
}

static bool id_parse(struct lwm2m_str text, uint16_t *ret)
{
    uint64_t id = 0;

    text = lwm2m_str_trim(text);
    if (dr_parse_u64_max(text.ptr, text.len, LWM2M_ID_MAX, &id) != DR_OK) {
        return false;
    }
    *ret = (uint16_t)id;
    return true;
}

static void ops_read(struct loader *l, uint8_t *ret)
{
    struct lwm2m_str s = text_of(l);
    uint8_t ops = 0;

    for (size_t i = 0; i < s.len; i++) {
        switch (s.ptr[i]) {
        case 'R':
        case 'r':
            ops |= LWM2M_OP_R;
            break;
        case 'W':
        case 'w':
            ops |= LWM2M_OP_W;
            break;
        case 'E':
        case 'e':
            ops |= LWM2M_OP_E;
            break;
        default:
            fail(l, DR_ERR_PROTO, "operations other than R, W, E");
            return;
        }
    }
    *ret = ops;
}

static void choice_read(struct loader *l, const char *yes, const char *no, bool *ret)
{
    struct lwm2m_str s = text_of(l);

    if (lwm2m_str_ieq(s, yes)) {
        *ret = true;
    } else if (lwm2m_str_ieq(s, no)) {
        *ret = false;
    } else {
        fail(l, DR_ERR_PROTO, "neither of the two words that may stand here");
    }
}

/* ---- objects ---- */

static int res_cmp(const void *a, const void *b)
{
    return (int)((const struct xml_res *)a)->def.id - (int)((const struct xml_res *)b)->def.id;
}

static struct xml_res *res_now(struct loader *l)
{
    return &l->obj.res[l->obj.count - 1];
}

static void item_open(struct loader *l, const char **attrs)
{
    struct xml_obj *obj = &l->obj;
    struct lwm2m_str id = {.ptr = NULL};

    for (size_t i = 0; attrs[i] != NULL; i += 2) {
        if (strcmp(attrs[i], "ID") == 0) {
            id = (struct lwm2m_str){.ptr = attrs[i + 1], .len = strlen(attrs[i + 1])};
        }
    }
    if (obj->count == LWM2M_XML_RES_MAX) {
        fail(l, DR_ERR_LIMIT, "too many resources");
        return;
    }
    if (obj->count == obj->cap) {
        size_t cap = obj->cap == 0 ? 16 : obj->cap * 2;
        struct xml_res *res = realloc(obj->res, cap * sizeof(*res));
        if (res == NULL) {
            fail(l, DR_ERR_NOMEM, "out of memory");
            return;
        }
        obj->res = res;
        obj->cap = cap;
    }
    obj->res[obj->count++] = (struct xml_res){.def = {.id = 0}};
    l->in_item = true;
    if (!id_parse(id, &res_now(l)->def.id)) {
        fail(l, DR_ERR_PROTO, "a resource without a valid ID");
    }
}

static void item_field(struct loader *l, const char *name)
{
    struct xml_res *res = res_now(l);
    enum lwm2m_type type = LWM2M_TYPE_NONE;

    if (strcmp(name, "Name") == 0) {
        text_to(l, res->name);
    } else if (strcmp(name, "Operations") == 0) {
        ops_read(l, &res->def.ops);
    } else if (strcmp(name, "MultipleInstances") == 0) {
        choice_read(l, "Multiple", "Single", &res->def.multiple);
    } else if (strcmp(name, "Mandatory") == 0) {
        choice_read(l, "Mandatory", "Optional", &res->def.mandatory);
    } else if (strcmp(name, "RangeEnumeration") == 0) {
        text_to(l, res->range);
    } else if (strcmp(name, "Units") == 0) {
        text_to(l, res->units);
    } else if (strcmp(name, "Type") == 0) {
        if (lwm2m_type_parse(text_of(l), &type) != DR_OK) {
            fail(l, DR_ERR_PROTO, "an unknown type");
        }
        res->def.type = (uint8_t)type;
    }
}

static void object_field(struct loader *l, const char *name)
{
    struct xml_obj *obj = &l->obj;

    if (strcmp(name, "Name") == 0) {
        text_to(l, obj->name);
    } else if (strcmp(name, "ObjectID") == 0) {
        obj->has_id = id_parse(text_of(l), &obj->def.id);
        if (!obj->has_id) {
            fail(l, DR_ERR_PROTO, "not an object id");
        }
    } else if (strcmp(name, "ObjectVersion") == 0) {
        if (text_of(l).len > 0 && lwm2m_version_parse(text_of(l), &obj->def.version) != DR_OK) {
            fail(l, DR_ERR_PROTO, "not an object version");
        }
    } else if (strcmp(name, "MultipleInstances") == 0) {
        choice_read(l, "Multiple", "Single", &obj->def.multiple);
    } else if (strcmp(name, "Mandatory") == 0) {
        choice_read(l, "Mandatory", "Optional", &obj->def.mandatory);
    }
}

static void object_fini(struct xml_obj *obj)
{
    free(obj->res);
    *obj = (struct xml_obj){.has_id = false};
}

static void object_stage(struct loader *l, const struct lwm2m_obj_def *def)
{
    switch (lwm2m_models_add(l->models, def)) {
    case DR_OK:
        l->done_count++;
        break;
    case DR_ERR_EXISTS:
        fail(l, DR_ERR_EXISTS, "the object version was loaded before");
        break;
    case DR_ERR_LIMIT:
        fail(l, DR_ERR_LIMIT, "too many objects");
        break;
    case DR_ERR_INVAL:
        fail(l, DR_ERR_PROTO, "a resource id stands twice");
        break;
    default:
        fail(l, DR_ERR_NOMEM, "out of memory");
        break;
    }
}

static void object_close(struct loader *l)
{
    struct xml_obj *obj = &l->obj;
    struct lwm2m_res_def *res = calloc(obj->count == 0 ? 1 : obj->count, sizeof(*res));

    if (res == NULL) {
        fail(l, DR_ERR_NOMEM, "out of memory");
        return;
    }
    if (!obj->has_id || obj->name[0] == '\0') {
        fail(l, DR_ERR_PROTO, "an object without ObjectID or Name");
    }
    if (obj->count > 0) {
        qsort(obj->res, obj->count, sizeof(obj->res[0]), res_cmp);
    }
    for (size_t i = 0; i < obj->count; i++) {
        struct xml_res *r = &obj->res[i];
        res[i] = r->def;
        res[i].name = r->name;
        res[i].range = r->range[0] == '\0' ? NULL : r->range;
        res[i].units = r->units[0] == '\0' ? NULL : r->units;
    }
    obj->def.name = obj->name;
    obj->def.res = res;
    obj->def.res_count = (uint16_t)obj->count;
    if (l->err == DR_OK) {
        object_stage(l, &obj->def);
    }
    free(res);
    object_fini(obj);
    l->in_object = false;
}

/* ---- expat ---- */

static void XMLCALL on_open(void *arg, const char *name, const char **attrs)
{
    struct loader *l = arg;

    l->text_len = 0;
    l->depth++;
    if (l->err != DR_OK) {
        return;
    }
    if (l->depth > LWM2M_XML_DEPTH_MAX) {
        fail(l, DR_ERR_LIMIT, "nested too deep");
    } else if (l->depth == 1) {
        l->seen_root = strcmp(name, "LWM2M") == 0;
        if (!l->seen_root) {
            fail(l, DR_ERR_PROTO, "not an object definition: the root is not LWM2M");
        }
    } else if (l->depth == 2 && strcmp(name, "Object") == 0) {
        l->obj.def.version = LWM2M_VERSION(1, 0);
        l->in_object = true;
    } else if (l->depth == 3 && l->in_object && strcmp(name, "Resources") == 0) {
        l->in_resources = true;
    } else if (l->depth == 4 && l->in_resources && strcmp(name, "Item") == 0) {
        item_open(l, attrs);
    }
}

static void XMLCALL on_close(void *arg, const char *name)
{
    struct loader *l = arg;

    l->depth--;
    if (l->err != DR_OK) {
        return;
    }
    if (l->depth == 4 && l->in_item) {
        item_field(l, name);
    } else if (l->depth == 3 && l->in_item) {
        l->in_item = false;
    } else if (l->depth == 2 && l->in_resources && strcmp(name, "Resources") == 0) {
        l->in_resources = false;
    } else if (l->depth == 2 && l->in_object) {
        object_field(l, name);
    } else if (l->depth == 1 && l->in_object) {
        object_close(l);
    }
    l->text_len = 0;
}

static void XMLCALL on_text(void *arg, const char *text, int len)
{
    struct loader *l = arg;
    size_t room = sizeof(l->text) - l->text_len;
    size_t n = len < 0 ? 0 : (size_t)len;

    /* what is longer is a description, which is not kept */
    n = n > room ? room : n;
    memcpy(l->text + l->text_len, text, n);
    l->text_len += n;
}

static void XMLCALL on_doctype(void *arg, const char *name, const char *system_id,
                               const char *public_id, int has_internal)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_internal;
    fail(arg, DR_ERR_PROTO, "a document type declaration is refused");
}

static void parser_run(struct loader *l, const void *text, size_t len)
{
    XML_SetUserData(l->parser, l);
    XML_SetElementHandler(l->parser, on_open, on_close);
    XML_SetCharacterDataHandler(l->parser, on_text);
    XML_SetStartDoctypeDeclHandler(l->parser, on_doctype);
    (void)XML_SetParamEntityParsing(l->parser, XML_PARAM_ENTITY_PARSING_NEVER);
    if (XML_Parse(l->parser, text, (int)len, XML_TRUE) != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(l->parser);
        fail(l, code == XML_ERROR_NO_MEMORY ? DR_ERR_NOMEM : DR_ERR_PROTO, XML_ErrorString(code));
    }
    if (l->err == DR_OK && l->done_count == 0) {
        fail(l, DR_ERR_PROTO, "no object in it");
    }
}

dr_err_t lwm2m_models_load_xml(struct lwm2m_models *models, const char *name, const void *text,
                               size_t len, size_t *ret_count, struct dr_errinfo *reterr)
{
    dr_assert(models != NULL && name != NULL && ret_count != NULL && (text != NULL || len == 0));

    struct loader l = {.models = models, .file = name, .reterr = reterr};
    size_t mark = lwm2m_models_mark(models);

    if (len > LWM2M_XML_BYTES_MAX) {
        dr_errinfo_set(reterr, name, 0, "larger than %zu bytes", LWM2M_XML_BYTES_MAX);
        return DR_ERR_TOO_LARGE;
    }
    l.parser = XML_ParserCreate(NULL);
    if (l.parser == NULL) {
        return DR_ERR_NOMEM;
    }
    parser_run(&l, text == NULL ? "" : text, len);
    XML_ParserFree(l.parser);
    object_fini(&l.obj);
    if (l.err != DR_OK) {
        lwm2m_models_rollback(models, mark);
        return l.err;
    }
    *ret_count = l.done_count;
    return DR_OK;
}

/* ---- folders ---- */

static dr_err_t file_load(struct lwm2m_models *models, const char *path, const char *name,
                          size_t *ret_count, struct dr_errinfo *reterr)
{
    FILE *f = fopen(path, "rbe");
    /* one byte over the maximum shows that there is more */
    char *text = f == NULL ? NULL : malloc(LWM2M_XML_BYTES_MAX + 1);

    if (text == NULL) {
        dr_errinfo_set(reterr, name, 0, f == NULL ? "cannot be opened" : "out of memory");
        if (f != NULL) {
            fclose(f);
        }
        return f == NULL ? DR_ERR_IO : DR_ERR_NOMEM;
    }
    size_t len = fread(text, 1, LWM2M_XML_BYTES_MAX + 1, f);
    bool bad = ferror(f) != 0;
    fclose(f);
    dr_err_t err = DR_ERR_IO;
    if (bad) {
        dr_errinfo_set(reterr, name, 0, "cannot be read");
    } else {
        err = lwm2m_models_load_xml(models, name, text, len, ret_count, reterr);
    }
    free(text);
    return err;
}

static int is_xml_name(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');

    return entry->d_name[0] != '.' && dot != NULL && strcmp(dot, ".xml") == 0;
}

dr_err_t lwm2m_models_load_folder(struct lwm2m_models *models, const char *folder,
                                  size_t *ret_count, struct dr_errinfo *reterr)
{
    dr_assert(models != NULL && folder != NULL && ret_count != NULL);

    struct dirent **names = NULL;
    char path[FILE_PATH_MAX];
    size_t total = 0;
    dr_err_t err = DR_OK;

    int n = scandir(folder, &names, is_xml_name, alphasort);
    if (n < 0) {
        dr_errinfo_set(reterr, folder, 0, "cannot be listed");
        return DR_ERR_IO;
    }
    if (n > LWM2M_XML_FILES_MAX) {
        dr_errinfo_set(reterr, folder, 0, "more than %d files", LWM2M_XML_FILES_MAX);
        err = DR_ERR_LIMIT;
    }
    for (int i = 0; i < n; i++) {
        size_t count = 0;
        int len = snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (err == DR_OK && (len < 0 || (size_t)len >= sizeof(path))) {
            dr_errinfo_set(reterr, folder, 0, "path too long");
            err = DR_ERR_IO;
        }
        if (err == DR_OK) {
            err = file_load(models, path, names[i]->d_name, &count, reterr);
            total += count;
        }
        free(names[i]);
    }
    free(names);
    if (err == DR_OK) {
        *ret_count = total;
    }
    return err;
}
