package main

import (
	"reflect"

	"github.com/NathanDraco22/zaptools-go"
	"github.com/NathanDraco22/zaptools-go/zap"
)

// newConnector calls NewConnector, which takes ConnectorOptions, or, in 0.2.0, arguments.
func newConnector(register *zap.EventRegister, conn zap.StdConn) *zap.ZapConnector {
	call := reflect.ValueOf(zaptools.NewConnector)
	arguments := []reflect.Value{
		reflect.ValueOf(register), reflect.ValueOf(conn), reflect.ValueOf(""),
	}
	if call.Type().NumIn() == 1 {
		options := reflect.New(call.Type().In(0)).Elem()
		options.FieldByName("Register").Set(arguments[0])
		options.FieldByName("StdConn").Set(arguments[1])
		arguments = []reflect.Value{options}
	}
	return call.Call(arguments)[0].Interface().(*zap.ZapConnector)
}
