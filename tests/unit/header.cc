/* SPDX-License-Identifier: Apache-2.0 */
/* The public header is C++ too, and what it declares links. */
#include <huidu/huidu.h>

int main()
{
	int err = 0;

	return huidu_init(nullptr, nullptr, nullptr, nullptr, nullptr, &err) == nullptr &&
			       err < 0 && huidu_strerror(err) != nullptr
		       ? 0
		       : 1;
}
