#!/bin/sh
echo "got $# $1 $2"; pwd; echo err >&2
