/* empty.c - a program that does nothing: what fork and exec alone cost. */
// SPDX-License-Identifier: Apache-2.0
int main(void)
{
    return 0;
}
