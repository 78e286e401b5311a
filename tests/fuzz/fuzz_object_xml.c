/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  tests/fuzz/fuzz_object_xml.c
 * @brief Object definition files: all or nothing is added, and it can be looked up.
 */
#include <stdint.h>

#include "base/err.h"
#include "lwm2m/model.h"
#include "lwm2m/model_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct lwm2m_models *models = NULL;
    struct dr_errinfo why = {.text = ""};
    size_t added = 0;

    dr_err_t err = lwm2m_models_new(&models);
    dr_assert(err == DR_OK);
    size_t before = lwm2m_models_count(models);
    err = lwm2m_models_load_xml(models, "fuzz", data, len, &added, &why);
    if (err == DR_OK) {
        dr_assert(added > 0 && lwm2m_models_count(models) <= before + added);
    } else {
        dr_assert(added == 0 && lwm2m_models_count(models) == before && why.text[0] != '\0');
    }
    for (size_t i = 0; i < lwm2m_models_count(models); i++) {
        const struct lwm2m_obj_def *def = lwm2m_models_at(models, i);
        dr_assert(lwm2m_models_get(models, def->id, def->version, LWM2M_VERSION(1, 0)) == def ||
                  (def->version.major == 0 && def->version.minor == 0));
    }
    models = lwm2m_models_free(models);
    return 0;
}
