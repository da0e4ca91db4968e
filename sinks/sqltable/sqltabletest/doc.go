// Package sqltabletest holds the tests that every sink built on sqltable must
// pass, on its real database. Each sink's own tests call Run and add what only
// its database has.
//
// What comes in: a Target, which makes empty databases. What goes out: the
// verdict of the test. All databases end with the test that asked for them.
package sqltabletest
