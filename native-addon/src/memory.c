/* Memory of the process itself. */
#include "addon.h"

#include <malloc.h>

/* trimHeap(): the C library gives back to the host what it holds without use. */
static napi_value trim_heap(napi_env env, napi_callback_info info)
{
	(void)info;
	malloc_trim(0);
	return make_undefined(env);
}

void memory_register(napi_env env, napi_value exports)
{
	export_function(env, exports, "trimHeap", trim_heap);
}
